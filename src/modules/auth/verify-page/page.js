/* global document, fetch, history, location, navigator, window */
(function () {
  'use strict'

  const SECTIONS = ['confirm', 'code-shown', 'ask', 'enter', 'done']
  const CODE_LIFETIME_MS = 10 * 60_000
  // No app knows the challenge of a code that was requested here, so no app accepts that code.
  const NEW_CODE = 'To sign in, request a new code in the app. If you have registered and still need to confirm your address, enter it here.'

  // By the `action` of the link. Other links are for signing in.
  const SIGN_IN = {
    title: 'Confirm it’s you',
    lead: 'Press the button to confirm that you received our message. You will then see the code to sign in with.',
    button: 'Confirm',
    leave: 'Didn’t ask for this?',
    done: ['Confirmed', 'You can now sign in. Go back to the app and ask for a code there.']
  }
  const ACTIONS = {
    change: {
      title: 'Confirm your new address',
      lead: 'Press the button to make this the address of your account. Other devices are signed out.',
      button: 'Confirm',
      leave: 'Didn’t ask for this?',
      done: ['Your address has been changed', 'Your account now has this address. Go back to the app.'],
      failed: 'A link works for ten minutes, and only while you are signed in where you asked for the change. Start the change again in the app.'
    },
    undo: {
      title: 'Undo the change of your address',
      lead: 'Press the button to give your account its former address back. Every device is signed out.',
      button: 'Undo the change',
      leave: 'Do you want to keep the new address?',
      done: ['The change has been undone', 'Your account has its former address again, and every device is signed out. Go back to the app and sign in with that address.'],
      failed: 'A change of address can be undone for seven days. If the address was changed without your consent, reply to the message.'
    }
  }
  const REFUSED = {
    AUTH_EMAIL_TAKEN: 'Another account has this address. Choose another address in the app, or sign in with this one.',
    AUTH_EMAIL_CHANGES_EXHAUSTED: 'The address of this account has been changed too often. Try again in a few days.'
  }

  const status = document.getElementById('status')
  /**
   * challengeId and code: what the page confirms. action: what that does, in ACTIONS. email: the address to which a code requested here was sent. confirmedAt:
   * when the service accepted the code, in milliseconds.
   */
  let state = {}

  const section = id => document.getElementById(id)
  const plural = (count, unit) => `${count} ${unit}${count === 1 ? '' : 's'}`
  // Set as text, never as markup: the values come from the network or the URL.
  const fill = (id, name, text) => { section(id).querySelector(`[data-text=${name}]`).textContent = text }

  function waitOf (seconds) {
    if (seconds < 90) return plural(seconds, 'second')
    const minutes = Math.ceil(seconds / 60)
    return minutes < 90 ? plural(minutes, 'minute') : plural(Math.ceil(minutes / 60), 'hour')
  }

  function say (text, alarm) {
    status.textContent = text
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
    if (confirmedAt !== undefined) {
      // The code is not shown when no app waits for it (it was requested here, or has done its work), or when it has expired.
      if (email !== undefined || wordsOf(state) !== SIGN_IN || Date.now() - confirmedAt > CODE_LIFETIME_MS) return showOutcome(...wordsOf(state).done)
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
      for (const name of ['title', 'lead', 'button', 'leave']) fill('confirm', name, wordsOf(state)[name])
      return show('confirm')
    }
    ask('Get a new code', NEW_CODE)
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
    ask('This link is incomplete', `Try the link in the message again, or get a new code. ${NEW_CODE}`)
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
      return { ok: false, again: 'The service could not be reached. Check your connection and try again.' }
    }
    if (response.ok) return { ok: true, body: answer }
    if (response.status === 429) {
      const wait = waitOf(Number(response.headers.get('retry-after')) || 60)
      return {
        ok: false,
        again: answer.code === 'AUTH_CODES_EXHAUSTED'
          ? `Too many codes have been sent to this address. Use the newest one, or try again in ${wait}.`
          : `Too many requests. Try again in ${wait}.`
      }
    }
    if (response.status === 409 && Object.hasOwn(REFUSED, answer.code)) return { ok: false, refusal: REFUSED[answer.code] }
    // Otherwise only 400 and 401 are about the request; another answer may come from a firewall, for example.
    if (response.status !== 400 && response.status !== 401) return { ok: false, again: 'The service is not available at the moment. Try again in a few minutes.' }
    return { ok: false }
  }

  async function confirm (code) {
    const asked = state
    say('Confirming …')
    const result = await post('v2/auth/verify', { challengeId: asked.challengeId, code })
    if (state !== asked) return // another link was opened meanwhile
    if (result.ok) {
      keep({ ...asked, code, confirmedAt: Date.now() })
      return showState()
    }
    if (result.again) return say(result.again, true)
    if (result.refusal) return showOutcome('This address cannot be used', result.refusal)
    const { failed } = wordsOf(asked)
    if (failed !== undefined) return showOutcome('This link no longer works', failed)
    if (asked.email !== undefined) return say('This code is wrong or has expired. Use the newest message, or send another one.', true)
    ask('This link no longer works', `A link works for ten minutes, and only until its code has been used to sign in. ${NEW_CODE}`)
  }

  async function sendMail () {
    const email = document.getElementById('email').value.trim()
    say('Sending …')
    const before = state
    const result = await post('v2/auth/challenges', { email })
    if (state !== before) return
    if (result.again) return say(result.again, true)
    if (!result.ok) return say('This does not look like an e-mail address. Check it and try again.', true)
    keep({ challengeId: result.body.challengeId, email })
    showState()
  }

  async function copy () {
    try {
      await navigator.clipboard.writeText(state.code)
      say('Copied.')
    } catch {
      say('The code could not be copied. Select it and press Ctrl+C or ⌘C.')
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
  document.querySelector('[data-show=ask]').addEventListener('click', () => ask('Get a new code', 'Enter your address to get another message.'))
  // A second link in the same tab, and going back to the first one, change only the fragment and load nothing.
  window.addEventListener('hashchange', () => { if (location.hash !== '') readAddress() })
  window.addEventListener('popstate', readAddress)
  readAddress()
})()
