// What the page does with its elements. Values are set as text, never as markup: they come from the network or the address.

export type SectionName = 'sign-in' | 'register' | 'enter-code' | 'link' | 'code-shown' | 'done' | 'account'

export function element<T extends HTMLElement> (id: string): T {
  return document.getElementById(id) as T
}

/** Announces something that went well, or that goes on. Screen readers read it without a change of focus. */
export function say (message: string): void {
  element('status').textContent = message
}

/** Fills the places of a section that have these names. */
export function fill (section: SectionName, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) {
    for (const place of element(section).querySelectorAll(`[data-text=${name}]`)) place.textContent = value
  }
}

export const isShown = (name: SectionName): boolean => !element(name).hidden

/** Shows one section. Its heading gets the focus, so that a screen reader says where the user is. */
export function show (name: SectionName): void {
  for (const section of document.querySelectorAll('section')) section.hidden = section.id !== name
  const heading = element(name).querySelector('h1')!
  document.title = `${heading.textContent} – Example app`
  for (const error of document.querySelectorAll('.error')) error.textContent = ''
  heading.focus()
  say('')
}

/** Shows why a form was not accepted, and moves the focus to the field that it is about. */
export function fail (form: HTMLFormElement, message: string, field?: string): void {
  form.querySelector('.error')!.textContent = message
  for (const input of form.querySelectorAll('input')) input.ariaInvalid = String(input.name === field)
  form.querySelector<HTMLInputElement>(`input[name="${field}"]`)?.focus()
}

/** Runs the work behind a button once at a time. The button stays focusable meanwhile. */
export async function once (button: HTMLButtonElement, work: () => Promise<void>): Promise<void> {
  if (button.ariaDisabled === 'true') return
  button.ariaDisabled = 'true'
  try {
    await work()
  } finally {
    button.ariaDisabled = 'false'
  }
}

/** Calls `send` with the fields of a form when it is submitted, and shows what is thrown. */
export function onSubmit (form: HTMLFormElement, send: (fields: FormData) => Promise<void>, explain: (error: unknown) => [message: string, field?: string]): void {
  form.addEventListener('submit', event => {
    event.preventDefault()
    void once(form.querySelector('button')!, async () => {
      for (const input of form.querySelectorAll('input')) input.ariaInvalid = null
      form.querySelector('.error')!.textContent = ''
      try {
        await send(new FormData(form))
      } catch (error) {
        say('')
        fail(form, ...explain(error))
      }
    })
  })
}

/** Calls `work` when a button is pressed, and shows what is thrown in an element. */
export function onPress (button: HTMLButtonElement, work: () => void | Promise<void>, explain: (error: unknown) => [message: string, field?: string], place: HTMLElement = element('status')): void {
  button.addEventListener('click', () => {
    void once(button, async () => {
      try {
        await work()
      } catch (error) {
        place.textContent = explain(error)[0]
      }
    })
  })
}
