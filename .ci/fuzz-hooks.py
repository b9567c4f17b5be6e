"""What the fuzzer knows besides the API documents: values of our formats, callers of each kind, and many networks."""
import itertools
import json
import os
import re
import threading
import time
import unicodedata
import urllib.request

import schemathesis
from hypothesis import strategies as st

API, INBOX = os.environ['API'], os.environ['INBOX']

# ── Values of the formats in src/shared/formats.ts, each of which the service must accept ───────────────────────────

ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~-"
ALNUM = 'abcdefghijklmnopqrstuvwxyz0123456789'

local_part = st.lists(st.text(ATEXT, min_size=1, max_size=12), min_size=1, max_size=4).map('.'.join)
label = st.one_of(
    st.text(ALNUM, min_size=1, max_size=20),
    st.tuples(st.text(ALNUM, min_size=1, max_size=9), st.text(ALNUM, min_size=1, max_size=9)).map('-'.join),
    st.sampled_from(['Müller', '例え', 'россия', 'ελλάδα', 'भारत', 'ไทย', 'xn--mller-kva', 'straße']),
)
top = st.one_of(st.text('abcdefghijklmnopqrstuvwxyz', min_size=2, max_size=10), st.sampled_from(['COM', 'みんな', 'xn--p1ai']))
domain = st.tuples(st.lists(label, min_size=1, max_size=3), top).map(lambda parts: '.'.join([*parts[0], parts[1]]))
# Without the blanks around it that the service removes: where the fuzzer changes another parameter, it calls a request invalid
# whose address does not keep the standard format. Blanks have tests of their own (test/shared, test/contract).
email = st.tuples(local_part, domain).map('@'.join)
schemathesis.openapi.format('idn-email', email)

# Letters and digits, but none that is drawn as nothing, and no Jamo, two of which become one character.
letter = st.characters(categories=['Lu', 'Ll', 'Lo', 'Nd', 'So'], exclude_characters='\u3164\uffa0\u2800\ufffc').filter(
    lambda c: not '\u1100' <= c <= '\u11ff' and not '\ua960' <= c <= '\ua97f' and not '\ud7b0' <= c <= '\ud7ff' and not 0x1d100 <= ord(c) <= 0x1d1ff)
shown = st.text(letter, min_size=2, max_size=20).filter(lambda text: len(unicodedata.normalize('NFC', text)) >= 2)
name = st.tuples(st.sampled_from(['', ' ', '\u00a0']), shown, st.sampled_from(['', ' ', " O'Hara", ' 👩\u200d💻', ' \u0645\u06cc\u200c\u062e'])).map(''.join)
schemathesis.openapi.format('person-name', name)

subtag = st.sampled_from(['', '-Latn', '-Hant', '-DE', '-419', '-Latn-RS', '-1996', '-u-ca-gregory', '-x-private'])
tag = st.tuples(st.one_of(st.text('abcdefghijklmnopqrstuvwxyz', min_size=2, max_size=3), st.sampled_from(['EN', 'de', 'Zh'])), subtag).map(''.join)
schemathesis.openapi.format('language-tag', tag)

# ── Each request comes from another network, so that the limits of one do not hide the rest ──────────────────────────

requests_sent = itertools.count(1)


def network() -> str:
    n = next(requests_sent)
    return f'100.{n >> 16 & 63 | 64}.{n >> 8 & 255}.{n & 255}'


# ── Callers of each kind, in turn ────────────────────────────────────────────────────────────────────────────────────


def post(path: str, body: dict) -> dict:
    headers = {'content-type': 'application/json', 'x-forwarded-for': network()}
    with urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(body).encode(), headers)) as response:
        return json.load(response)


def register(address: str) -> str:
    return post('/v2/users', {'email': address, 'name': 'Fuzz'})['challengeId']


def sign_in(address: str) -> dict:
    challenge = register(address)
    for _ in range(600):
        with urllib.request.urlopen(f'{INBOX}/api/email') as response:
            texts = [mail['text'] for mail in json.load(response) if challenge in mail['html'] or challenge in mail['text']]
        if texts:
            code = re.search(r'\b\d{8}\b', texts[-1]).group()
            return post('/v2/auth/tokens', {'grantType': 'code', 'challengeId': challenge, 'code': code})
        time.sleep(0.05)
    raise SystemExit(f'no mail for {address}')


def suspend(user: str) -> None:
    admin = caller('admin')
    url = f'{API}/v2/users/{user}'
    headers = {'content-type': 'application/json', 'authorization': f"Bearer {admin['accessToken']}", 'x-forwarded-for': network()}
    urllib.request.urlopen(urllib.request.Request(url, b'{"status":"SUSPENDED"}', headers, method='PATCH')).close()


KINDS = ['anonymous', 'user', 'unverified', 'other', 'suspended', 'admin']
# Callers whose account works. Each of the others must get a 401, or a 403, wherever a token is needed.
ACTIVE = ['user', 'other', 'expendable', 'admin']
accounts = itertools.count(1)
callers: dict[str, dict] = {}
kinds: dict[str, str] = {}
turns = itertools.count()
lock = threading.RLock()
# An account that is gone answers 401 to its token; a fuzzer that ends more accounts than this goes on without.
MAX_ACCOUNTS = int(os.environ.get('MAX_ACCOUNTS', '60'))
admins = iter(os.environ['FUZZ_ADMINS'].split(','))


def caller(kind: str) -> dict:
    with lock:
        if kind not in callers:
            n = next(accounts)
            address = next(admins) if kind == 'admin' else f'fuzz-{os.getpid()}-{n}@example.com'
            # An account that was never confirmed has no token. What its owner has is the id of a challenge.
            callers[kind] = {'accessToken': register(address)} if kind == 'unverified' else sign_in(address)
            kinds[callers[kind]['accessToken']] = kind
            if kind == 'suspended':
                suspend(callers[kind]['user']['id'])
        return callers[kind]


@schemathesis.auth(refresh_interval=None, retry_on=[])
class Callers:
    def get(self, case, context):
        method, path = context.operation.method.upper(), context.operation.path
        kind = KINDS[next(turns) % len(KINDS)]
        if kind == 'anonymous':
            return None
        # One that may be lost: these operations end an account or its session.
        if kind in ('user', 'other') and '/me' in path and method != 'GET':
            kind = 'expendable'
        return caller(kind)['accessToken']

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), 'Authorization': f'Bearer {data}'}


def kind_of(headers) -> str:
    token = (headers.get('Authorization') or '').removeprefix('Bearer ')
    return kinds.get(token, 'anonymous')


def is_of_account(operation) -> bool:
    return re.match(r'/v[12]/users/\{', operation.path) is not None


owners = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers = {**(case.headers or {}), 'X-Forwarded-For': network()}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A cursor is signed by the service: no document can say which texts it accepts.
    if case.query and 'cursor' in case.query:
        case.query = {name: value for name, value in case.query.items() if name != 'cursor'}
    # Every other request is about an account that exists: the user's. An admin only reads it, so that it stays a user's.
    if is_of_account(case.operation) and case.path_parameters and next(owners) % 2 and 'user' in callers and (case.method == 'GET' or kind_of(case.headers) != 'admin'):
        case.path_parameters = {name: callers['user']['user']['id'] for name in case.path_parameters}


@schemathesis.hook
def after_call(context, case, response):
    token = (case.headers or {}).get('Authorization', '').removeprefix('Bearer ')
    if response.status_code == 401 and next(accounts) < MAX_ACCOUNTS:
        with lock:
            for kind, current in list(callers.items()):
                if current['accessToken'] == token and kind in ('user', 'other', 'expendable'):
                    del callers[kind]


# ── What each kind of caller must not get ────────────────────────────────────────────────────────────────────────────


@schemathesis.check
def access(ctx, response, case):
    """No operation that needs a token succeeds for a caller who has no right to it."""
    operation = case.operation
    if not operation.definition.raw.get('security', operation.schema.raw_schema.get('security')) or not response.status_code < 400:
        return
    sent = response.request
    kind = kind_of(sent.headers)
    roles = operation.definition.raw.get('x-roles', ['user', 'admin'])
    mine = callers.get('user', {}).get('user', {}).get('id', 'none')
    if kind not in ACTIVE:
        raise AssertionError(f'{sent.method} {operation.path} answered {response.status_code} to a caller of kind {kind}')
    if kind != 'admin' and 'user' not in roles:
        raise AssertionError(f'{sent.method} {operation.path} is for {roles}, and answered {response.status_code} to a caller of kind {kind}')
    if kind in ('other', 'expendable') and is_of_account(operation) and mine in sent.url:
        raise AssertionError(f'{sent.method} {operation.path} answered {response.status_code} to a caller who does not own the account')
