/* global document, fetch, history, location, navigator, window */
(function () {
  'use strict'

  const SECTIONS = ['confirm', 'enter', 'ask', 'done']
  const status = document.getElementById('status')
  let challengeId
  let code

  const section = id => document.getElementById(id)
  const plural = (count, unit) => `${count} ${unit}${count === 1 ? '' : 's'}`
  // Only ever as text: what comes from the network or the address is nobody's mark-up.
  const fill = (id, name, text) => { section(id).querySelector(`[data-text=${name}]`).textContent = text }

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

  function ask (title, reason) {
    fill('ask', 'title', title)
    fill('ask', 'reason', reason)
    show('ask')
  }

  // Takes challenge and code out of the address, and out of the history: neither stays on the screen, nor in what is synced or shared.
  function readAddress () {
    const given = new URLSearchParams(location.hash.slice(1))
    if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search)
    challengeId = given.get('challengeId')
    code = given.get('code')
    if (challengeId && code) show('confirm')
    else ask('Confirm your address', 'This page opens from the link in a mail, and the link was not complete. Type your address, and a new mail comes to it.')
  }

  async function post (path, body) {
    let response
    try {
      response = await fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        credentials: 'omit',
        cache: 'no-store'
      })
    } catch {
      return { ok: false, again: 'The service could not be reached. Check your connection and try again.' }
    }
    if (response.ok) return { ok: true, body: await response.json() }
    const wait = Number(response.headers.get('retry-after')) || 60
    if (response.status === 429) return { ok: false, again: `That was too often. Try again in ${wait < 90 ? plural(wait, 'second') : plural(Math.ceil(wait / 60), 'minute')}.` }
    if (response.status >= 500) return { ok: false, again: 'The service cannot answer at the moment. Nothing is lost: try again in a little while.' }
    return { ok: false, status: response.status }
  }

  async function exchange () {
    say('Confirming …')
    const result = await post('v2/auth/tokens', { grantType: 'code', challengeId, code })
    if (result.ok) return signedIn(result.body)
    if (result.again) return say(result.again, true)
    if (!section('enter').hidden) return say('This code is not right, or no longer valid. Look at the newest mail, or ask for another one.', true)
    ask('This link no longer works', 'A link works once, for ten minutes, and not after too many wrong codes. If you have pressed it before, your address is confirmed already and you can go back to the app. Otherwise type your address, and a new mail comes to it.')
  }

  function signedIn ({ user, accessToken, expiresIn }) {
    fill('done', 'name', user.name)
    fill('done', 'life', expiresIn < 90 ? plural(expiresIn, 'second') : plural(Math.round(expiresIn / 60), 'minute'))
    document.getElementById('token').value = accessToken
    show('done')
  }

  async function sendMail () {
    const email = document.getElementById('email').value.trim()
    say('Sending …')
    const result = await post('v2/auth/challenges', { email })
    if (result.again) return say(result.again, true)
    if (!result.ok) return say('This does not look like an e-mail address. Check it and try again.', true)
    challengeId = result.body.challengeId
    fill('enter', 'email', email)
    show('enter')
    document.getElementById('code').value = ''
    document.getElementById('code').focus()
  }

  async function copy () {
    const token = document.getElementById('token')
    token.select()
    try {
      await navigator.clipboard.writeText(token.value)
      say('Copied.')
    } catch {
      say('Press Ctrl+C or ⌘C to copy it: it is selected.')
    }
  }

  function onSubmit (id, act) {
    const form = section(id).querySelector('form')
    form.addEventListener('submit', async event => {
      event.preventDefault()
      const button = form.querySelector('button')
      if (button.disabled) return
      button.disabled = true // one press, one request
      await act().finally(() => { button.disabled = false })
    })
  }

  onSubmit('confirm', exchange)
  onSubmit('enter', () => {
    code = document.getElementById('code').value.replace(/\s/g, '')
    return exchange()
  })
  onSubmit('ask', sendMail)
  document.getElementById('copy').addEventListener('click', copy)
  document.querySelector('[data-show=ask]').addEventListener('click', () => ask('Get a new code', 'Type your address, and a new mail comes to it.'))
  window.addEventListener('hashchange', () => { if (location.hash !== '') readAddress() })
  readAddress()
})()
