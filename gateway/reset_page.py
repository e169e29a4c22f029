"""The page behind a link to set a new password. The token stands after the #, so it is sent to nobody but the API."""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway.routing import Route

PATH = "/reset-password"

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
label{display:block;margin:1rem 0}input{display:block;width:100%;font:inherit;padding:.4em;box-sizing:border-box}
button{font:inherit;padding:.4em 1.2em}#told{margin-top:1rem}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}}
"""
_SCRIPT = """
const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
history.replaceState(null, '', location.pathname);
const form = document.querySelector('form'), told = document.querySelector('#told');
const say = (text) => { told.textContent = text; };
if (!token) { form.hidden = true; say('This link is not whole. Copy all of it, or ask for another one.'); }
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [password, again] = [...form.elements].map((element) => element.value);
  if (password !== again) { say('The two are not the same.'); return; }
  let answer;
  try {
    answer = await fetch('/auth/reset-password', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, password }),
    });
  } catch { say('Lintel does not answer; try again.'); return; }
  if (answer.ok) { form.hidden = true; say('Your password is set. Every earlier session has ended.'); return; }
  const problem = await answer.json().catch(() => ({}));
  say(problem.detail || problem.title || 'That did not work; try again.');
});
"""
_PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Set a new password</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>Set a new password</h1>
<form><label>New password, at least 8 characters
<input type="password" autocomplete="new-password" minlength="8" maxlength="256" required></label>
<label>Once more <input type="password" autocomplete="new-password" required></label>
<button>Set it</button></form><p id="told" role="status"></p>
<noscript>This page needs JavaScript; <code>lintel users set-password</code> does the same.</noscript>
<script>{_SCRIPT}</script></body></html>"""


def reset_page_routes() -> list[Route]:
    """Answer the route; what it sends is rendered once, here."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; script-src 'sha256-{_digest(_SCRIPT)}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    body = _PAGE.encode()

    async def endpoint(_: Request) -> ASGIApp:
        return Response(body, 200, {"content-security-policy": policy}, "text/html; charset=utf-8")

    return [Route("GET", PATH, endpoint)]


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
