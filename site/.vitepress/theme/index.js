// The default theme with the system's fonts, since those of the default theme would be a third of the page.
import DefaultTheme from 'vitepress/theme-without-fonts'
import { withBase } from 'vitepress'
import { defineAsyncComponent } from 'vue'
import './style.css'

/** Has the browser keep the site once the page has all that it needs. */
function keepSite() {
  const register = () => navigator.serviceWorker.register(withBase('/sw.js'), { scope: withBase('/') })
    .catch((error) => console.warn(`the site is not kept for a time without the network: ${error.message}`))
  if (document.readyState === 'complete') register()
  else window.addEventListener('load', register)
}

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component('Playground', defineAsyncComponent(() => import('./Playground.vue')))
    app.component('Diagram', defineAsyncComponent(() => import('./Diagram.vue')))
    if (import.meta.env.PROD && !import.meta.env.SSR && 'serviceWorker' in navigator) keepSite()
  },
}
