"""Make a model's Markdown harmless to show: JupyterLab runs the raw HTML in it, and loads its pictures.

What would do harm is disarmed outside code. Code is left as it is only where disarming would not change it, and
is otherwise shown as HTML, every sign of it an entity. So no parser's own idea of where code begins lets anything in.
Mathematics is taken out of the text before Markdown is made of it, and put back after: it must not end an attribute.
"""

from __future__ import annotations

import functools
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_FENCE = re.compile(r"((?:[ \t]|>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))*)(`{3,}|~{3,})([^\n]*)")
_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`)((?:[^\n]|\n(?!\s*\n))+?)(?<!`)\1(?!`)")
_LANGUAGE = re.compile(r"\s*([A-Za-z0-9_+#.-]*)")

# A line break in mathematics: what a browser may call a blank line ends it.
_BREAK = r"\n(?=[ \t]*[^\s\ufeff])"
_BRACKETED = rf"(?:[^\\$`\n]|\\[^()\[\]$`\n]|{_BREAK})+"
_ENVIRONMENT = (
    r"(?:align(?:at|ed|edat)?|array|cases|eqnarray|equation|gather(?:ed)?|multline|split|[bBpvV]?(?:small)?matrix)\*?"
)
# Pandoc's rule for what a dollar sign is: mathematics hugs its signs, and no digit follows the closing one. Each
# alternative begins with a sign of its own, so that nothing is tried twice: Python before 3.11.5 gets the possessive
# repeats wrong that would say so.
_MATH = re.compile(
    rf"(?<!\\)\\\((?P<inline>{_BRACKETED})\\\)|(?<!\\)\\\[(?P<block>{_BRACKETED})\\\]"
    rf"|(?<![\\$])\$\$(?!\$)(?:[^$`\n]|{_BREAK})+(?<!\\)\$\$(?!\$)"
    r"|(?<![\\$A-Za-z0-9])\$(?:(?![\s$\d])|(?=\d[^$`\n]*[\\^_={}]))[^$`\n]*(?<![\s\\])\$(?![$A-Za-z0-9])"
    rf"|\\begin\{{(?P<name>{_ENVIRONMENT})\}}"
    rf"(?:[^\\$`\n]|\\(?!(?:begin|end)\{{(?P=name)\}})(?:[^$`\n]|(?=\n))|{_BREAK})*\\end\{{(?P=name)\}}"
)
# Commands of MathJax that carry addresses, styles or attributes, and those that give a command another name.
_COMMAND = (
    r"\\(?=(?:href|url|style|class|cssId|data|bbox|mmlToken|require|unicode|includegraphics|csname|endcsname|def|let"
    r"|(?:re)?newcommand|(?:re)?newenvironment|DeclareMathOperator|Newextarrow)(?![A-Za-z]))"
)
# An entity means nothing in mathematics: there a space parts what must not stand together.
_DISARM_MATH = (
    (re.compile(r"<(?=[A-Za-z/!?])"), "< "),
    (re.compile('"'), "”"),
    (re.compile("~{3,}"), "~~"),
    (re.compile(r"\\\\\[-?[\d.]+ *[a-z]+\]"), r"\\\\"),
    (re.compile(_COMMAND), r"\\ "),
)
_DISARM = (
    (re.compile(r"<(https?://[^\s<>]+)>(?=\w)"), r"\1 "),
    (re.compile(r"<(https?://[^\s<>]+)>"), r"\1"),
    (re.compile(r"&(?=\\?#|\w+\\?;)"), "&amp;"),
    (re.compile(r"<(?=[A-Za-z/!?])"), "&lt;"),
    (re.compile(r"!(?=\[)"), "&#33;"),
    (re.compile(r"\]\((?!\s*(?:https?://|mailto:|#))", re.I), "]&#40;"),
    (re.compile(r"\]:(?!\s*(?:https?://|mailto:))(?=\s*(?:<\s*)?[\w+.-]+\\?:(?:\S|\Z))", re.I), "]&#58;"),
    (re.compile(r"(javascript|vbscript|data)\\?:(?=\S|\Z)", re.I), r"\1："),
    (re.compile(_COMMAND), "&#92;"),
    # Double backslashes make a browser look for mathematics, three marks for a fence.
    (re.compile(r"\\\\(?=[()\[\]])"), r"\\\\ "),
    (re.compile("`{3,}"), lambda marks: "&#96;" * len(marks[0])),
    (re.compile("~{3,}"), lambda marks: "&#126;" * len(marks[0])),
)


def safe(text: str) -> str:
    """Return model text as Markdown that runs nothing, loads nothing and links to web pages only.

    An open code fence is closed; dollar signs that mean money become `＄`.
    """
    out: list[str] = []
    prose: list[str] = []
    lines = _CONTROL.sub("", text).split("\n")[::-1]
    while lines:
        line = lines.pop()
        opening = _FENCE.fullmatch(line)
        if not opening or "`" in opening[3]:
            prose.append(line)
            continue
        out += [_prose("\n".join(prose))] if prose else []
        prose = []
        out.append(_fenced(*opening.groups(), "\n".join(_until_closed(opening, lines))))
    return "\n".join([*out, _prose("\n".join(prose))] if prose else out)


def _until_closed(opening: re.Match[str], lines: list[str]) -> list[str]:
    quoted = ">" in opening[1]
    code: list[str] = []
    while lines and (not quoted or lines[-1].lstrip().startswith(">")):
        line = lines.pop()
        mark = line.strip(" \t>" if quoted else " \t")
        if len(mark) >= len(opening[2]) and set(mark) == {opening[2][0]}:
            break
        code.append(line)
    return code


# A stream is made safe again at every frame: what stands does not change.
@functools.lru_cache(1_024)
def _fenced(indent: str, mark: str, info: str, code: str) -> str:
    language = _LANGUAGE.match(info)[1]  # type: ignore[index]
    if _words(code) != code:
        unquoted = re.sub(r"^[ \t>]*> ?", "", code, flags=re.M) if ">" in indent else code
        return f"{indent}<pre><code>{_entities(unquoted)}</code></pre>\n"
    # JupyterLab draws mermaid, and a drawing may fetch pictures.
    first = f"{indent}{mark}{'' if language.lower() == 'mermaid' else language}"
    return "\n".join([first, *([code] if code else []), re.sub(r"[^\s>]", " ", indent) + mark])


def _prose(text: str) -> str:
    return "".join(map(_paragraph, re.split(r"(\n[ \t]*\n)", text)))


@functools.lru_cache(1_024)
def _paragraph(text: str) -> str:
    out, at = [], 0
    for span in _SPAN.finditer(text):
        out += [_disarmed(text[at : span.start()]), _span(span)]
        at = span.end()
    # The browser counts the sign before a backtick as code.
    return "".join([*out, _disarmed(text[at:])]).replace("$`", "$ `")


def _span(span: re.Match[str]) -> str:
    # Three marks could begin a fence in a list or a quote.
    as_it_is = _words(span[2]) == span[2] and len(span[1]) < 3
    return span[0] if as_it_is else f"<code>{_entities(span[2].strip())}</code>"


def _disarmed(text: str) -> str:
    out: list[str] = []
    at = 0
    for found in _MATH.finditer(text):
        if tex := _tex(found):
            # Two that touched would be paired otherwise.
            out += [_words(text[at : found.start()]) or " " * bool(out), tex]
            at = found.end()
    return "".join([*out, _words(text[at:])])


def _tex(found: re.Match[str]) -> str:
    """Return mathematics between dollar signs, disarmed, or nothing if a browser would not end it where it ends."""
    inside = (found["inline"] or "").strip() or found["block"]
    if found[0].startswith(("\\(", "\\[")):
        sign = "$" if found["inline"] else "$$"
        tex = f"{sign}{inside}{' ' * inside.endswith(chr(92))}{sign}" if inside else ""
    else:
        tex = found[0]
    for pattern, by in _DISARM_MATH:
        tex = pattern.sub(by, tex)
    return _replaced(tex) if _is_balanced(tex) else ""


def _is_balanced(tex: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\[{}$]|[{}]", tex):
        depth = max(0, depth + {"{": 1, "}": -1}.get(brace, 0))
    return depth == 0


def _words(text: str) -> str:
    return re.sub(r"\\(?=(?:begin|end)\{)", "&#92;", _replaced(re.sub(r"\\?\$", "＄", text)))


def _replaced(text: str) -> str:
    for pattern, by in _DISARM:
        text = pattern.sub(by, text)
    return text


def _entities(text: str) -> str:
    return re.sub(r"[^\w ]", lambda sign: f"&#{ord(sign[0])};", text)
