"""The page that asks for the token, in one answer: nothing else is open to whoever sees it."""

from __future__ import annotations

import base64
import tomllib
from functools import cache
from html import escape
from pathlib import Path

from lmc_core.folders import app_folder, assets
from lmc_core.look import PRODUCT
from lmc_core.ui.every_page import WORDMARK

ICON = Path(__file__).with_name("icon.svg")
FONTS = {400: "ibm-plex-sans-latin-400-normal", 600: "ibm-plex-sans-latin-600-normal"}
FIELD = "lmc_token"  # of the form; Jupyter takes a field `token` for its own
WRONG = "This is not the token of this server. Check that all of it was copied."
BUSY = "Too many tokens came from your address. Wait five seconds, then try again."
ABOUT = (
    "Enter the token of this server. It was printed within the address when the server was "
    "started, or chosen by whoever runs it."
)

STYLE = """
:root { color-scheme: light dark; %(light)s }
@media (prefers-color-scheme: dark) { :root { %(dark)s } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem;
 background: var(--ground); color: var(--ink);
 font: 1rem/1.5 'IBM Plex Sans', 'Helvetica Neue', Arial, sans-serif; }
main { width: 100%%; max-width: 27rem; }
svg { display: block; margin: 0 0 2rem -0.1rem; }
h1 { font-size: 1.45rem; line-height: 1.2; font-weight: 600; margin: 0 0 0.5rem; }
p { margin: 0 0 1.25rem; }
label { display: block; font-size: 0.875rem; margin: 0 0 0.25rem; }
input, button { font: inherit; border-radius: 6px; min-height: 2.5rem; }
input { width: 100%%; padding: 0.4rem 0.75rem; border: 1px solid var(--border);
 background: var(--field); color: inherit; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--primary);
 outline-offset: 2px; }
button { margin: 1rem 0 0; padding: 0.4rem 1.1rem; border: 0; background: var(--primary);
 color: var(--ground); font-weight: 600; cursor: pointer; }
.said { border-left: 3px solid var(--primary); padding: 0.4rem 0 0.4rem 0.75rem; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Token \u00b7 {product}</title>
<link rel="icon" href="data:image/svg+xml;base64,{icon}"><style>{style}</style>{again}</head>
<body><main>{mark}<h1>Token</h1><p>{about}</p>{said}
<form method="post"><label for="token">Token</label>
<input id="token" name="{field}" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></form></main></body></html>
"""
# A link from another site opens without the cookie, which browsers send to our own pages alone
# (SameSite=Strict). This page is ours and asks again, once, before a person is asked.
AGAIN = """<script>
if (sessionStorage.getItem("lmc-again") !== location.href) {
  sessionStorage.setItem("lmc-again", location.href);
  location.replace(location.href);
}
</script>"""


@cache
def login_page(said: str = "", foreign: bool = False) -> bytes:
    """The page.

    Args:
        said: a sentence about what came before.
        foreign: whether a page of another site led here.
    """
    words = f'<p class="said" role="alert">{escape(said)}</p>' if said else ""
    return PAGE.format(
        product=PRODUCT,
        field=FIELD,
        icon=base64.b64encode(ICON.read_bytes()).decode(),
        style=_style(),
        mark=WORDMARK.format(ink="currentColor", name=PRODUCT).replace(
            "<svg ", f"<svg role='img' aria-label='{PRODUCT}' "
        ),
        about=ABOUT,
        said=words,
        again=AGAIN if foreign else "",
    ).encode()


@cache
def _style() -> str:
    """Colours of the app's theme, and its fonts, which are not served to strangers."""
    settings = tomllib.loads((app_folder() / ".streamlit" / "config.toml").read_text())["theme"]
    names = {
        "ground": "backgroundColor",
        "field": "secondaryBackgroundColor",
        "ink": "textColor",
        "border": "borderColor",
        "primary": "primaryColor",
    }
    colours = {
        theme: " ".join(f"--{name}: {settings[theme][key]};" for name, key in names.items())
        for theme in ("light", "dark")
    }
    faces = [
        f"@font-face {{ font-family: 'IBM Plex Sans'; font-weight: {weight}; "
        f"src: url(data:font/woff2;base64,{_font(name)}) format('woff2'); }}"
        for weight, name in FONTS.items()
    ]
    return "\n".join([*faces, STYLE % colours])


def _font(name: str) -> str:
    return base64.b64encode((assets() / "fonts" / f"{name}.woff2").read_bytes()).decode()
