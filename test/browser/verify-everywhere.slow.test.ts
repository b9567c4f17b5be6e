import t from 'tap'
import { newContext } from './helper.ts'
import { openVerifyPage } from './verify-page.ts'

const { browser, skip, site, register, exchange, codeOf, heading, confirm, send, address, status, shownCode, look, fits } = await openVerifyPage(t)

t.test('the code can be copied, as the app takes it', { skip }, async t => {
  const link = await register('copy@example.com')
  const context = await newContext(t, browser!, { permissions: ['clipboard-read', 'clipboard-write'] })
  const page = await context.newPage()
  await page.goto(link)
  await confirm(page)
  await page.getByRole('button', { name: 'Copy the code' }).click()
  await status(page, /Copied/)
  t.equal((await exchange(link, await page.evaluate('navigator.clipboard.readText()'))).status, 200)
  await look(t, page, 'copied-light')
})

t.test('the page works from the keyboard, moves a screen reader along, and fits a small screen, light and dark', { skip }, async t => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const link = await register(`${colorScheme}@example.com`)
    const context = await newContext(t, browser!, { viewport: { width: 320, height: 568 }, reducedMotion: 'reduce', colorScheme })
    const page = await context.newPage()
    await page.goto(link)
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm it’s you', 'a screen reader begins with the heading')
    t.equal(await page.title(), 'Confirm it’s you')
    t.equal(await page.locator('#status').getAttribute('aria-live'), 'polite')
    t.ok(await fits(page), 'nothing is wider than the screen')
    await look(t, page, `small-confirm-${colorScheme}`)
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm')
    await page.keyboard.press('Enter')
    await heading(page, 'Confirmed')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirmed', 'and goes on with the next one')
    t.equal(await page.title(), 'Confirmed')
    t.ok(await fits(page))
    await look(t, page, `small-confirmed-${colorScheme}`)
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify`)
    await heading(page, 'Get a new code')
    await address(page).fill(`a-very-long-name-of-a-mailbox-${'x'.repeat(30)}@a-long-name-of-a-host.${'y'.repeat(40)}.example`)
    await look(t, page, `small-ask-${colorScheme}`)
    await send(page)
    await heading(page, 'Check your inbox')
    t.ok(await fits(page), 'nor a long address')
    await look(t, page, `small-enter-${colorScheme}`)
  }
})

t.test('the page speaks the browser’s language, from right to left too, and says in it how long to wait', { skip }, async t => {
  for (const [locale, titles, wait] of [
    ['ar', ['تأكيد هويتك', 'تم التأكيد', 'الحصول على رمز جديد'], 'طلبات كثيرة جدًا. ستتمكن من المحاولة مجددًا خلال دقيقتين.'],
    ['de-AT', ['Bestätigen Sie, dass Sie es sind', 'Bestätigt', 'Neuen Code anfordern'], 'Zu viele Anfragen. Versuchen Sie es in 2 Minuten erneut.'],
    ['ja', ['ご本人の確認', '確認しました', '新しいコードを取得'], 'リクエストが多すぎます。2 分後にもう一度お試しください。']
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const link = await register(`${locale.toLowerCase()}-${colorScheme}@example.com`)
      const context = await newContext(t, browser!, { locale, colorScheme, viewport: { width: 360, height: 640 } })
      const page = await context.newPage()
      await page.goto(link)
      await heading(page, titles[0])
      t.ok(await fits(page))
      await look(t, page, `${locale}-confirm-${colorScheme}`)
      await page.locator('#confirm button').click()
      await heading(page, titles[1])
      t.equal(await shownCode(page), codeOf(link))
      const [left, right] = await page.evaluate<[number, number]>('Array.from(document.querySelectorAll(".digits span"), half => half.getBoundingClientRect().left)')
      t.ok(left < right, 'digits run from left to right')
      await look(t, page, `${locale}-confirmed-${colorScheme}`)
      const other = await context.newPage()
      await other.route('**/v2/auth/challenges', route => route.fulfill({ status: 429, headers: { 'retry-after': '90' }, body: '{}' }))
      await other.goto(`${site.url}/verify`)
      await heading(other, titles[2])
      await other.locator('#email').fill('wait@example.com')
      await other.locator('#ask button').click()
      await status(other, new RegExp(`^${wait.replaceAll('.', '\\.')}$`))
      t.ok(await fits(other))
      await look(t, other, `${locale}-wait-${colorScheme}`)
      t.same(context.complaints, [])
    }
  }
})
