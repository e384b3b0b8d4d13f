"""The page in a real browser. A package, so that the browser and the demo end with its last test
and not later: Playwright keeps an event loop running in the thread, and tests elsewhere want one of
their own."""

NO_BROWSER = "no Chromium on this machine (Debian: apt-get install chromium)"
