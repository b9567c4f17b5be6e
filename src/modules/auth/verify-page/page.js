/* global document, fetch, history, location, navigator, window */
(function () {
  'use strict'

  const SECTIONS = ['confirm', 'code-shown', 'ask', 'enter', 'done']
  const CODE_LIFETIME_MS = 10 * 60_000
  // In the reader's language, which the service has chosen by Accept-Language.
  const texts = JSON.parse(document.getElementById('texts').textContent)
  const { lang } = document.documentElement
  /** A text with its values: `{name}` stands for one. */
  const text = (key, values) => texts[key].replace(/\{(\w+)\}/g, (_match, name) => values[name])

  // By the `action` of the link, with the prefix of their texts. Other links are for signing in.
  const SIGN_IN = { prefix: 'signIn' }
  const ACTIONS = {
    change: { prefix: 'change', failed: 'changeFailed' },
    undo: { prefix: 'undo', failed: 'undoFailed' }
  }
  const REFUSED = {
    AUTH_EMAIL_TAKEN: 'emailTaken',
    AUTH_EMAIL_CHANGES_EXHAUSTED: 'changesExhausted'
  }

  const status = document.getElementById('status')
  /**
   * challengeId and code: what the page confirms. action: what that does, in ACTIONS. email: the address to which a code requested here was sent. confirmedAt:
   * when the service accepted the code, in milliseconds.
   */
  let state = {}

  const section = id => document.getElementById(id)
  // "in 2 minutes", in the grammar of the language.
  const inTime = (count, unit) => new Intl.RelativeTimeFormat(lang).format(count, unit)
  // Set as text, never as markup: the values come from the network or the URL.
  const fill = (id, name, value) => { section(id).querySelector(`[data-text=${name}]`).textContent = value }

  function waitOf (seconds) {
    if (seconds < 90) return inTime(seconds, 'second')
    const minutes = Math.ceil(seconds / 60)
    return minutes < 90 ? inTime(minutes, 'minute') : inTime(Math.ceil(minutes / 60), 'hour')
  }

  function say (message, alarm) {
    status.textContent = message
    status.classList.toggle('alarm', alarm === true)
  }

  function show (id) {
    for (const other of SECTIONS) section(other).hidden = other !== id
    const heading = section(id).querySelector('h1')
    document.title = heading.textContent
    heading.focus()
    say('')
  }

  const wordsOf = ({ action }) => ACTIONS[action] ?? SIGN_IN

  function showOutcome (title, outcome) {
    fill('done', 'title', title)
    fill('done', 'outcome', outcome)
    show('done')
  }

  function ask (title, reason) {
    fill('ask', 'title', title)
    fill('ask', 'reason', reason)
    show('ask')
  }

  // Kept in this tab's history entry, so that a reload continues where the page was. It is stored nowhere else.
  function keep (next) {
    state = next
    history.replaceState(state, '', location.pathname + location.search)
  }

  function showState () {
    const { challengeId, code, email, confirmedAt } = state
    const { prefix } = wordsOf(state)
    if (confirmedAt !== undefined) {
      // The code is not shown when no app waits for it (it was requested here, or has done its work), or when it has expired.
      if (email !== undefined || wordsOf(state) !== SIGN_IN || Date.now() - confirmedAt > CODE_LIFETIME_MS) return showOutcome(text(`${prefix}Done`), text(`${prefix}Outcome`))
      fill('code-shown', 'first-half', code.slice(0, 4))
      fill('code-shown', 'second-half', code.slice(4))
      return show('code-shown')
    }
    if (email !== undefined) {
      fill('enter', 'email', email)
      document.getElementById('code').value = ''
      show('enter')
      return document.getElementById('code').focus()
    }
    if (challengeId !== undefined && code !== undefined) {
      for (const [name, key] of [['title', 'Title'], ['lead', 'Lead'], ['button', 'Button']]) fill('confirm', name, text(prefix + key))
      return show('confirm')
    }
    ask(text('askTitle'), text('newCode'))
  }

  // Removes challenge and code from the URL, so that they are not visible, synced or shared.
  function readAddress () {
    if (location.hash === '') {
      state = history.state ?? {}
      return showState()
    }
    const { challengeId, code, action } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
    const isComplete = Boolean(challengeId && code)
    keep(isComplete ? { challengeId, code, ...(Object.hasOwn(ACTIONS, action) ? { action } : {}) } : {})
    if (isComplete) return showState()
    ask(text('incompleteTitle'), `${text('incomplete')} ${text('newCode')}`)
  }

  async function post (path, body) {
    let response
    let answer
    try {
      response = await fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        credentials: 'omit',
        cache: 'no-store'
      })
      // A proxy in front of the service may answer with its own page.
      if (response.status !== 204) answer = await response.json().catch(() => ({}))
    } catch {
      return { ok: false, again: text('unreachable') }
    }
    if (response.ok) return { ok: true, body: answer }
    if (response.status === 429) {
      const wait = waitOf(Number(response.headers.get('retry-after')) || 60)
      return {
        ok: false,
        again: answer.code === 'AUTH_CODES_EXHAUSTED'
          ? text('codesExhausted', { wait })
          : text('tooMany', { wait })
      }
    }
    if (response.status === 409 && Object.hasOwn(REFUSED, answer.code)) return { ok: false, refusal: text(REFUSED[answer.code]) }
    // Otherwise only 400 and 401 are about the request; another answer may come from a firewall, for example.
    if (response.status !== 400 && response.status !== 401) return { ok: false, again: text('unavailable') }
    return { ok: false }
  }

  async function confirm (code) {
    const asked = state
    say(text('confirming'))
    const result = await post('v2/auth/verify', { challengeId: asked.challengeId, code })
    if (state !== asked) return // another link was opened meanwhile
    if (result.ok) {
      keep({ ...asked, code, confirmedAt: Date.now() })
      return showState()
    }
    if (result.again) return say(result.again, true)
    if (result.refusal) return showOutcome(text('refusedTitle'), result.refusal)
    const { failed } = wordsOf(asked)
    if (failed !== undefined) return showOutcome(text('failedTitle'), text(failed))
    if (asked.email !== undefined) return say(text('wrongCode'), true)
    ask(text('failedTitle'), `${text('signInFailed')} ${text('newCode')}`)
  }

  async function sendMail () {
    const email = document.getElementById('email').value.trim()
    say(text('sending'))
    const before = state
    const result = await post('v2/auth/challenges', { email })
    if (state !== before) return
    if (result.again) return say(result.again, true)
    if (!result.ok) return say(text('notAnAddress'), true)
    keep({ challengeId: result.body.challengeId, email })
    showState()
  }

  async function copy () {
    try {
      await navigator.clipboard.writeText(state.code)
      say(text('copied'))
    } catch {
      say(text('notCopied'))
    }
  }

  function onSubmit (id, send) {
    const form = section(id).querySelector('form')
    form.addEventListener('submit', async event => {
      event.preventDefault()
      const button = form.querySelector('button')
      if (button.disabled) return
      button.disabled = true // one press, one request
      await send().finally(() => { button.disabled = false })
    })
  }

  onSubmit('confirm', () => confirm(state.code))
  onSubmit('enter', () => confirm(document.getElementById('code').value.replace(/\s/g, '')))
  onSubmit('ask', sendMail)
  document.getElementById('copy').addEventListener('click', copy)
  document.querySelector('[data-show=ask]').addEventListener('click', () => ask(text('askTitle'), text('another')))
  // A second link in the same tab, and going back to the first one, change only the fragment and load nothing.
  window.addEventListener('hashchange', () => { if (location.hash !== '') readAddress() })
  window.addEventListener('popstate', readAddress)
  readAddress()
})()
