"""What every page has around it, and the small pieces they share."""

from __future__ import annotations

import html
from datetime import UTC, datetime

from cdl.embedded.forge.accounts import User

STYLE = """
:root{--ink:#1c2733;--soft:#5b6875;--line:#dbe1e7;--paper:#fff;--wash:#f5f7f9;--link:#1a5fb4;--good:#1a7f4b;
--goodw:#e3f4ea;--bad:#b3261e;--badw:#fbe6e4;--wait:#8a5a00;--waitw:#fdf1d7;--done:#6b3fa0;--donew:#efe7f8}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#9aa7b3;--line:#35414c;--paper:#151b21;--wash:#1d252d;
--link:#82b4f2;--good:#6fd19c;--goodw:#173426;--bad:#f2938c;--badw:#42201e;--wait:#e7bd63;--waitw:#3b2f14;
--done:#c3a3ec;--donew:#30214a}}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
header,main{max-width:62rem;margin:0 auto;padding:.8rem 1rem}
.bar{border-bottom:1px solid var(--line);background:var(--wash)}
header{display:flex;gap:1rem;align-items:center}header b{flex:1}header form{margin:0}
h1{font-size:1.5rem;line-height:1.25;margin:.6rem 0 .4rem}h2{font-size:1.1rem;margin:2rem 0 .6rem}
a{color:var(--link)}.soft{color:var(--soft)}.small{font-size:.87rem}
code,pre{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{background:var(--wash);padding:.1em .3em;border-radius:4px}pre{overflow-x:auto;background:var(--wash);
padding:.7rem;border-radius:6px;margin:.6rem 0}pre code{background:none;padding:0}
.card{border:1px solid var(--line);border-radius:8px;margin:.8rem 0;overflow:hidden}
.card>.top{background:var(--wash);border-bottom:1px solid var(--line);padding:.45rem .8rem;display:flex;gap:.6rem;
flex-wrap:wrap;align-items:baseline}.card>.in{padding:.2rem .9rem}.rows{list-style:none;margin:0;padding:0}
.rows li{display:flex;gap:.3rem .7rem;flex-wrap:wrap;align-items:baseline;padding:.55rem .9rem;
border-top:1px solid var(--line)}.rows li:first-child{border-top:0}.grow{flex:1 1 14rem}
.tag{display:inline-block;font-size:.8rem;font-weight:600;padding:.08rem .55rem;border-radius:1rem;white-space:nowrap;
background:var(--wash);color:var(--soft)}
.good{background:var(--goodw);color:var(--good)}.bad{background:var(--badw);color:var(--bad)}
.wait{background:var(--waitw);color:var(--wait)}.done{background:var(--donew);color:var(--done)}
.warn{background:var(--badw);color:var(--bad);padding:.5rem .8rem;border-radius:6px}
.event{color:var(--soft);font-size:.9rem;padding:.1rem .9rem;margin:.5rem 0;border-left:3px solid var(--line)}
.md{overflow-x:auto}.md img{max-width:100%;height:auto}.md table{border-collapse:collapse;margin:.7rem 0}
.md th,.md td{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top;
overflow-wrap:break-word}
.md th{background:var(--wash)}.md h1,.md h2,.md h3{font-size:1.08rem;margin:1rem 0 .3rem}
.md blockquote{margin:.5rem 0;padding:0 .8rem;border-left:3px solid var(--line);color:var(--soft)}
.diff{margin:0;border-radius:0;padding:.4rem 0}.diff span{display:block;padding:0 .8rem;min-width:max-content;
white-space:pre}.diff .add{background:var(--goodw)}.diff .del{background:var(--badw)}.diff .at{color:var(--soft)}
button,input{font:inherit;padding:.45rem .8rem;border:1px solid var(--line);border-radius:6px;background:var(--paper);
color:var(--ink)}input{width:100%;max-width:28rem}label{display:block;margin:.8rem 0 .2rem}
summary{cursor:pointer}@media(max-width:34rem){body{font-size:15px}.card>.in{padding:.2rem .7rem}}
"""
SIGN_IN = """<h1>Sign in</h1><p>With the access token that your git and your scripts use.</p>
<form method="post" action="/-/sign_in"><label for="token">Token</label>
<input id="token" name="token" type="password" required autocomplete="off">
<p><button type="submit">Sign in</button></p></form>"""
TONES = {"success": "good", "mergeable": "good", "opened": "good", "merged": "done", "failed": "bad", "closed": "bad"}
TONES |= {"conflict": "bad", "running": "wait", "pending": "wait", "created": "wait"}
WORDS = {
    "mergeable": "ready to merge",
    "draft_status": "draft",
    "not_approved": "approval missing",
    "discussions_not_resolved": "open threads",
    "ci_must_pass": "pipeline must pass",
    "commits_status": "nothing to merge",
    "broken_status": "branch missing",
    "success": "passed",
    "opened": "open",
}


def e(text: object) -> str:
    """Make text of whatever somebody wrote."""
    return html.escape(str(text))


def tag(word: str) -> str:
    """Give a state as a small coloured word."""
    return f'<span class="tag {TONES.get(word, "")}">{e(WORDS.get(word, word.replace("_", " ")))}</span>'


def when(written: str) -> str:
    """Give a moment for people, exact for who asks."""
    at = datetime.fromisoformat(written).astimezone(UTC)
    return f'<time class="soft small" datetime="{e(written)}">{at:%Y-%m-%d %H:%M} UTC</time>'


def href(target: str) -> str:
    """Give an address for a link; one that is no web address leads nowhere."""
    return e(target) if target.startswith(("http://", "https://", "/")) else "#"


def card(top: str, inside: str, name: str = "") -> str:
    """Give a box with a title."""
    anchor = f' id="{e(name)}"' if name else ""
    return f'<section class="card"{anchor}><div class="top">{top}</div>{inside}</section>'


def rows(entries: list[str], otherwise: str) -> str:
    """Give a list, or the sentence that says there is nothing."""
    inside = "".join(f"<li>{entry}</li>" for entry in entries) or f'<li class="soft">{e(otherwise)}</li>'
    return f'<ul class="rows">{inside}</ul>'


def page(title: str, body: str, user: User) -> str:
    """Give a whole page."""
    out = '<form method="post" action="/-/sign_out"><button type="submit">Sign out</button></form>'
    who = f'<span class="soft">{e(user.username)}</span>{out}' if user.id else '<a href="/-/sign_in">Sign in</a>'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{e(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f'<style>{STYLE}</style></head><body><div class="bar"><header><b><a href="/">Forge</a></b>{who}</header></div>'
        f"<main>{body}</main></body></html>"
    )
