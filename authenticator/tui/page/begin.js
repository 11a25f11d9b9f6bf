// After the terminal's script, which begins on load: it measures its cells then, so the font must be there first.
"use strict";
const begin = window.onload;
window.onload = (event) => {
  const fonts = ["", "bold ", "italic "].map((style) => document.fonts.load(`${style}16px "Roboto Mono"`));
  Promise.allSettled(fonts).then(() => {
    begin(event);
    document.querySelector(".xterm-helper-textarea")?.focus();
  });
};
