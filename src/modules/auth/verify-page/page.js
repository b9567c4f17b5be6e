/* global document, fetch, history, location, navigator, window */
(function () {
  'use strict'

  const SECTIONS = ['confirm', 'enter', 'ask', 'code-shown', 'done']
  const status = document.getElementById('status')
  let challengeId
  let code
  // Whether the code was asked for on this page: no app waits for it then.
  let isOwn = false

  const section = id => document.getElementById(id)
  const plural = (count, unit) => `${count} ${unit}${count === 1 ? '' : 's'}`
  // Only ever as text: what comes from the network or the address is never mark-up.
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

  function showConfirmed () {
    if (isOwn) return show('done')
    fill('code-shown', 'code', code.replace(/(\d{4})(\d{4})/, '$1 $2'))
    show('code-shown')
  }

  // Takes challenge and code out of the address: neither stays on the screen, nor in what is synced or shared. The state
  // of this entry in the history keeps them, for this tab alone, so that a reload finds them again.
  function readAddress () {
    const given = new URLSearchParams(location.hash.slice(1))
    const kept = history.state || {}
    const isFresh = location.hash !== ''
    challengeId = isFresh ? given.get('challengeId') : kept.challengeId
    code = isFresh ? given.get('code') : kept.code
    isOwn = false
    if (isFresh) history.replaceState({ challengeId, code }, '', location.pathname + location.search)
    if (!challengeId || !code) return ask('Confirm your e-mail address', 'This page opens from the link in an e-mail, and the link was not complete. Enter your address to get a new e-mail.')
    if (!isFresh && kept.isConfirmed) return showConfirmed()
    show('confirm')
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
    if (response.ok) return { ok: true, body: response.status === 204 ? undefined : await response.json() }
    const wait = Number(response.headers.get('retry-after')) || 60
    if (response.status === 429) return { ok: false, again: `Too many requests. Try again in ${wait < 90 ? plural(wait, 'second') : plural(Math.ceil(wait / 60), 'minute')}.` }
    if (response.status >= 500) return { ok: false, again: 'The service cannot answer at the moment. Try again in a little while.' }
    return { ok: false, status: response.status }
  }

  async function confirm () {
    say('Confirming …')
    const result = await post('v2/auth/verify', { challengeId, code })
    if (result.ok) {
      if (!isOwn) history.replaceState({ challengeId, code, isConfirmed: true }, '', location.href)
      return showConfirmed()
    }
    if (result.again) return say(result.again, true)
    if (!section('enter').hidden) return say('This code is wrong or has expired. Use the newest e-mail, or send another one.', true)
    ask('This link no longer works', 'A link works for ten minutes, and not after its code was used to sign in. If you want to sign in, ask for a new code in the app. If your address is not confirmed yet, enter it to get a new e-mail.')
  }

  async function sendMail () {
    const email = document.getElementById('email').value.trim()
    say('Sending …')
    const result = await post('v2/auth/challenges', { email })
    if (result.again) return say(result.again, true)
    if (!result.ok) return say('This does not look like an e-mail address. Check it and try again.', true)
    challengeId = result.body.challengeId
    isOwn = true
    fill('enter', 'email', email)
    show('enter')
    document.getElementById('code').value = ''
    document.getElementById('code').focus()
  }

  async function copy () {
    try {
      await navigator.clipboard.writeText(code)
      say('Copied.')
    } catch {
      say('The code could not be copied. Select it and press Ctrl+C or ⌘C.')
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

  onSubmit('confirm', confirm)
  onSubmit('enter', () => {
    code = document.getElementById('code').value.replace(/\s/g, '')
    return confirm()
  })
  onSubmit('ask', sendMail)
  document.getElementById('copy').addEventListener('click', copy)
  document.querySelector('[data-show=ask]').addEventListener('click', () => ask('Get a new code', 'Enter your address to get a new e-mail.'))
  window.addEventListener('hashchange', () => { if (location.hash !== '') readAddress() })
  readAddress()
})()
