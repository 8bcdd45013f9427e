// While the run goes on, the page says how old it is, and reloads itself unless someone is using it.
{
const EVERY = 5_000, IDLE = 3_000, READING = 30_000, SILENT = 60_000;
const written = Date.parse(document.body.dataset.written), loaded = Date.now(), age = document.querySelector(".age");
let used = 0, isDown = false;
for (const name of ["pointerdown", "pointermove", "pointerup", "keydown", "wheel", "touchmove"]) {
  addEventListener(name, () => { used = Date.now(); }, { capture: true, passive: true });
}
addEventListener("pointerdown", () => { isDown = true; }, true);
for (const name of ["pointerup", "pointercancel", "dragend"]) addEventListener(name, () => { isDown = false; }, true);

function isInUse() {
  const focus = document.activeElement, isTyping = focus?.matches("input[type=search]");
  if (isDown || isTyping || document.hidden || document.querySelector("dialog[open]") || !getSelection().isCollapsed) return true;
  const isReading = focus?.matches(".plot") || document.querySelector(".plot:hover");
  return Date.now() - used < (isReading ? READING : IDLE);
}

function ago(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : minutes ? `${minutes} min` : `${seconds} s`;
}

function look() {
  const now = Date.now(), old = Math.max(0, now - written), text = ago(Math.round(old / 1000));
  const isSilent = old >= SILENT;
  age.textContent = isSilent ? `no sign of life since ${new Date(written).toLocaleTimeString()}, ${text} ago` : `drawn ${text} ago`;
  age.classList.toggle("silent", isSilent);
  if (now - loaded >= (isSilent ? SILENT : EVERY) && !isInUse()) location.reload();
}

look();
setInterval(look, 1_000);
document.addEventListener("visibilitychange", look);
}
