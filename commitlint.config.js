// Conventional commits, checked for the commits of a pull request (.github/workflows/check.yml). Older ones were not.
export default { extends: ['@commitlint/config-conventional'] }
