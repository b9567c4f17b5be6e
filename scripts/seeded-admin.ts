/** The admin that `npm run seed` makes, and as whom `npm run users` acts on the running npm start. */
export const SEEDED_ADMIN = 'admin@example.com'
