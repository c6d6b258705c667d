// The default theme with the system's fonts, since those of the default theme would be a third of the page.
import DefaultTheme from 'vitepress/theme-without-fonts'
import { defineAsyncComponent } from 'vue'
import './style.css'

export default {
  extends: DefaultTheme,
  enhanceApp: ({ app }) => app.component('Playground', defineAsyncComponent(() => import('./Playground.vue'))),
}
