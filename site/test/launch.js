// The browser that tests use.
import puppeteer from 'puppeteer-core'

export const launch = () => puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, protocolTimeout: 300_000,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
})
