// Before the terminal's script: whatever address the page was opened at, its socket has the same one. `?fontsize=20` makes it larger.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const terminal = document.getElementById("terminal");
  const size = Number(new URLSearchParams(location.search).get("fontsize"));
  terminal.dataset.sessionWebsocketUrl = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
  terminal.dataset.fontSize = String(size >= 8 && size <= 48 ? size : 16);
  document.getElementById("again").addEventListener("click", () => location.reload());
});
