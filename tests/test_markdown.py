"""Model text made harmless: a list of attacks, text that must come out as it went in, and random Markdown."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatkit.markdown import safe

# HIT stands for script that leaves a mark, URL for an address elsewhere; tests/test_browser.py puts real ones there.
IMG = "<img src='URL' onerror='HIT'>"
QUOTE = '"onmouseover=HIT//'
DRAWING = 'flowchart TD\n A@{ img: "URL", label: "x" }'
LINK = "[눌러]\n\n[눌러]: "
ATTACKS = {
    # raw HTML, wherever a parser may see some
    "HTML in a paragraph": f"글 {IMG} 글",
    "HTML in a list": f"- 하나\n- {IMG}\n1. {IMG}",
    "HTML in a quote": f"> {IMG}",
    "HTML in a heading": f"# 제목 {IMG}",
    "HTML in an underlined heading": f"{IMG}\n===",
    "HTML in emphasis": f"**{IMG}**",
    "HTML in a table": f"| a | b |\n|---|---|\n| {IMG} | x |",
    "HTML in a table's code span, cut by a pipe": f"| a | b |\n|---|---|\n| `x|{IMG}|` | x |",
    "HTML in a link's text": f"[{IMG}](https://a.invalid)",
    "HTML in a link's title": f'[x](https://a.invalid "{IMG}")',
    "HTML over lines": "<img\nsrc='URL'\nonerror='HIT'\n>",
    "HTML that is not closed": "<img src='URL' onerror='HIT' ",
    "HTML with a control character": "<\x00script>HIT</script><\x1bimg src='URL' onerror='HIT'><\x7fimg src='URL'>",
    "HTML around Markdown": f"<div markdown=1>\n\n{IMG}\n\n</div>",
    "HTML in capitals": "<ScRiPt>HIT</sCrIpT>",
    "HTML as entities": "&lt;img src='URL' onerror='HIT'&gt; &#60;img src='URL' onerror='HIT'&#62;",
    "an entity around an address": "<https://a.invalid/&lt>;img src='URL' onerror='HIT'>",
    "a script": "<script>HIT</script>",
    "a script from elsewhere": "<script src='URL'></script>",
    "an svg": "<svg onload='HIT'></svg><svg/onload=HIT>",
    "an svg animation": "<svg><animate onbegin='HIT' attributeName=x dur=1s>",
    "details": "<details open ontoggle='HIT'><summary>x</summary></details>",
    "a frame": "<iframe src='URL'></iframe><iframe srcdoc='<script>parent.HIT</script>'></iframe>",
    "a frame that runs script": "<iframe src='javascript:parent.HIT'></iframe>",
    "a style that imports": "<style>@import 'URL';</style>",
    "a style's background": "<p style='background:url(URL)'>x</p>",
    "a style sheet": "<link rel=stylesheet href='URL'>",
    "a preload": "<link rel=preload as=image href='URL'>",
    "a refresh": "<meta http-equiv=refresh content='0;url=URL'>",
    "a base": "<base href='URL'>",
    "a form": "<form action='URL'><input autofocus onfocus='HIT'><input type=image src='URL'></form>",
    "an object": "<object data='URL'></object><embed src='URL'>",
    "a video": "<video poster='URL' autoplay><source src='URL' onerror='HIT'></video>",
    "a srcset": "<img srcset='URL 2x' onerror='HIT'><picture><source srcset=URL><img src=x></picture>",
    "a custom element": "<x-a onclick='HIT'>눌러</x-a>",
    "a comment": f"<!-- a -->{IMG}<!-- -->",
    "a comment with half a code span": f"<!-- `-->{IMG}`",
    "a declaration with half a code span": f"<!X ` >{IMG}`",
    "an instruction with half a code span": f"<? ` ?>{IMG}`",
    "CDATA with half a code span": f"<![CDATA[ ` ]]>{IMG}`",
    "an attribute with half a code span": f'<a title="`">{IMG}`',
    # where code begins and ends
    "unbalanced backticks": f"`` {IMG} `",
    "backticks of three lengths": f"`a`` {IMG} ```b`",
    "escaped backticks": f"\\`{IMG}\\` \\`a`{IMG}`",
    "a code span over paragraphs": f"`a\n\n{IMG} `",
    "a code span cut by a heading": f"`a\n# {IMG}`",
    "a code span cut by a list": f"`a\n- {IMG}`",
    "a code span cut by a quote": f"> `a\n{IMG}`",
    "a code span cut by HTML": f"`a\n<div>{IMG}</div>`",
    "a code span cut by a fence": f"`a\n```\n{IMG}\n```\n`",
    "a code span cut by a rule": f"`a\n---\n{IMG}`",
    "a fence that stays open": f"```\n{IMG}",
    "nested fences": f"````\n```\n{IMG}\n```\n````\n{IMG}",
    "fences nested inside out": f"```\n````\n{IMG}\n```\n{IMG}\n````",
    "an indented fence": f"    ```\n{IMG}\n    ```",
    "a fence after a tab": f"\t```\n{IMG}\n\t```",
    "a fence with an indented end": f"```\na\n    ```\n{IMG}\n```",
    "a fence of tildes": f"~~~\n```\n~~~\n{IMG}",
    "a fence of tildes named with a backtick": f"~~~ a`b\n~~~\n{IMG}\n~~~",
    "a fence of backticks named with a backtick": f"``` a`b\n{IMG}\n```",
    "a fence with a longer end": f"```\na\n`````\n{IMG}\n```",
    "a fence with words after its end": f"```\na\n``` b\n{IMG}\n```",
    "a fence whose end has an odd space": f"```\na\n```\u00a0\n{IMG}\n```\n```\na\n```\x0b\n{IMG}\n```",
    "a fence with other line ends": f"```\ra\r```\r{IMG}\r```\u2028{IMG}\x85{IMG}",
    "a fence swallowed by mathematics": f"$$\n```\n$$\n{IMG}\n```\n",
    "a fence inside mathematics": f"$$\n```\n{IMG}\n```\n$$",
    "a fence swallowed by an environment": f"\\begin{{align}}\n```\n\\end{{align}}\n{IMG}\n```",
    "a fence inside an environment": f"\\begin{{align}}\n```\n{IMG}\n```\n\\end{{align}}",
    "a fence in a list, code less indented": f"- a\n  ```\n{IMG}\n  ```\n1.  a\n\n    ```\n {IMG}\n    ```",
    "a fence on a list's own line": f"- ```\n{IMG}\n  ```",
    "a fence in a quote": f"> ```\n{IMG}\n> ```",
    "a quote that ends before its fence": f"> ```\n> a\n{IMG}\n```\n{IMG}",
    "a fence named with a quotation mark": f"```x{QUOTE}\nx\n```",
    "a fence in a quote, so named": f"> ```x{QUOTE}\n> x\n> ```",
    "a fence in a list, so named": f"- ~~~x{QUOTE}\n  x\n  ~~~",
    "a fence in a task, so named": f"- [ ] ```x{QUOTE}\n  x\n  ```",
    "a fence in a task, so named in a code span": f"- [ ] ~~~x `{QUOTE}`\n  x\n  ~~~",
    "a code span in a task that begins like a fence": f"- [ ] ```x{QUOTE}\n  y```",
    "a fence named with mathematics": f"> ```${QUOTE}$\n> x\n> ```\n\n- [ ] ```${QUOTE}$\n  x\n  ```",
    # links
    "a javascript link": "[눌러](javascript:HIT)",
    "a javascript link in mixed case": "[눌러](JaVaScRiPt:HIT)",
    "a javascript link after a space": "[눌러]( javascript:HIT) [눌러](\njavascript:HIT)",
    "a javascript link in angle brackets": "[눌러](<javascript:HIT>)",
    "a javascript link with a backslash": "[눌러](javascript\\:HIT)",
    "a javascript link with an entity": "[눌러](java&#115;cript:HIT) [눌러](&#x6A;avascript:HIT)",
    "a javascript link with a bare entity": "[눌러](&#106avascript:HIT)",
    "a javascript link with a named entity": "[눌러](java&Tab;script:HIT) [눌러](javascript&colon;HIT)",
    "a javascript link with a control character": "[눌러](java\x01script:HIT) [눌러](\x01javascript:HIT)",
    "a vbscript link": "[눌러](vbscript:HIT)",
    "a data link": "[눌러](data:text/html,<script>opener.HIT</script>)",
    "a link to a file": "[눌러](file:///etc/passwd)",
    "a link into the server": "[눌러](/lab/api/x) [눌러](//evil.invalid/x)",
    "an automatic link": "<javascript:HIT> <data:text/html,HIT>",
    "a reference": "[눌러][r]\n\n[r]: javascript:HIT",
    "a short reference": f"{LINK}javascript:HIT",
    "a reference on the next line": f"{LINK}\njavascript:HIT",
    "a reference in angle brackets": f"{LINK}<javascript:HIT>",
    "a reference in angle brackets with a tab": f"{LINK}< java\tscript:HIT>",
    "a reference in a quote": "[눌러]\n\n> [눌러]: javascript:HIT",
    "a reference in a list": "[눌러]\n\n- [눌러]: javascript:HIT",
    "a reference over lines": "[눌\n러]\n\n[눌\n러]: javascript:HIT",
    "a reference with an entity": f"{LINK}java&#115;cript:HIT",
    "a reference with a bare entity": f"{LINK}&#106avascript:HIT",
    "a reference with a bare entity in a task": "[눌러]\n\n- [ ] [눌러]: &#x6Aavascript:HIT",
    "a reference with an escaped entity": f"{LINK}&\\#106;avascript:HIT",
    "a reference with an escaped named entity": f"{LINK}java&Tab\\;script:HIT",
    "a reference with an escaped colon": f"{LINK}javascript&colon\\;HIT",
    "a reference with a backslash": f"{LINK}javascript\\:HIT",
    "a reference with a control character": f"{LINK}java\x02script:HIT",
    "a reference with a code span": f"{LINK}javascript:`x`;HIT",
    "a reference with mathematics": f"{LINK}javascript:$=1,$;HIT",
    "a reference that is mathematics": f"{LINK}javascript:$=HIT,$",
    "a reference to another program": f"{LINK}ms-msdt:x",
    # pictures
    "a picture": "![x](URL)",
    "a picture with a backslash": "\\![x](URL)",
    "a picture in a link": "[![x](URL)](https://a.invalid)",
    "a picture by reference": "![x][r] ![r] ![r][]\n\n[r]: URL",
    "a picture with a control character": "!\x00[x](URL)",
    "a picture with an entity": "&#33;[x](URL)",
    "a picture in its address": "![x](data:image/svg+xml,<svg onload='HIT'>)",
    "a picture on the server": "![x](/evil-local)",
    "a picture in brackets for mathematics": "!\\[x\\](URL)",
    "a picture after a code span": "`!`[x](URL)",
    # mathematics is put back into the page after Markdown was made: in an attribute it may end it
    "mathematics in an address": f"https://a.invalid/${QUOTE}$ www.a.invalid/${QUOTE}$",
    "mathematics in a link": f"[x](https://a.invalid/${QUOTE}$) [x](https://a.invalid/$$ {QUOTE}$$)",
    "mathematics in a title": f"[x](https://a.invalid '${QUOTE}$')",
    "mathematics in a mail address": f"[x](mailto:${QUOTE}$) [x](#${QUOTE}$)",
    "mathematics in a reference's address": f"{LINK}https://a.invalid/${QUOTE}$",
    "an environment in an address": f"[x](https://a.invalid/\\begin{{a}}{QUOTE}\\end{{a}})",
    "a known environment in an address": f"[x](https://a.invalid/\\begin{{align}}{QUOTE}\\end{{align}})",
    "double backslashes in an address": f"[x](https://a.invalid/\\\\({QUOTE}\\\\)) [x](https://a.invalid/\\\\[{QUOTE}\\\\])",
    "far double backslashes in an address": f"[x](https://a.invalid/\\\\({QUOTE}{'a' * 1100}\\\\))",
    "an open brace in an address": f"https://a.invalid/$x{{${QUOTE}$y}}$",
    "an escaped dollar in an address": f"https://a.invalid/\\$$x$${QUOTE}$y$",
    "a dollar that looks like code in an address": f"``` $x ` https://a.invalid/y${QUOTE}$z$",
    "a dollar before what looks like code": f"[x](https://a.invalid/$x$`` ` https://a.invalid/$y{QUOTE}$z$",
    "a line that only the browser calls blank": f"$$a\n\ufeff\nhttps://a.invalid/$${QUOTE}$$b$$",
    "mathematics put back twice": f"[x](https://a.invalid/@\\@0@@) ${QUOTE}$",
    "TeX href": "$\\href{javascript:HIT}{눌러}$ $$\\href{javascript:HIT}{눌러}$$ \\(\\href{javascript:HIT}{눌러}\\)",
    "TeX href in an environment": "\\begin{equation}\\href{javascript:HIT}{눌러}\\end{equation}",
    "TeX href in double backslashes": "\\\\(\\href{javascript:HIT}{x}\\\\) {\\\\(}\\href{javascript:HIT}{x}{\\\\)}",
    "TeX href that looks like code": "``` $\\href{javascript:HIT}{눌러}$ `",
    "TeX style": "$\\style{background:url(URL)}{x}$ $\\bbox[background:url(URL)]{x}$",
    "TeX class": "$\\class{jp-Dialog}{x}$ $\\cssId{jp-main}{x}$ $\\data{a=1}{x}$",
    "TeX mmlToken": '$\\mmlToken{mi}[href="javascript:HIT"]{x}$',
    "TeX require": "$\\require{html}\\href{javascript:HIT}{x}$ $\\url{javascript:HIT}$",
    "TeX let": "$\\let\\a=\\href \\a{javascript:HIT}{x}$",
    "TeX def": "$\\def\\a{\\href}\\a{javascript:HIT}{x}$ $\\newcommand\\b{\\href}\\b{javascript:HIT}{x}$",
    "TeX csname": "$\\csname href\\endcsname{javascript:HIT}{x}$",
    "TeX unicode": "$\\unicode[URL]{65}$ $\\includegraphics{URL}$",
    # drawings
    "a drawing with a click": '```mermaid\ngraph TD\n A-->B\n click A href "javascript:HIT"\n```',
    "a drawing with a picture": f"```mermaid\n{DRAWING}\n```",
    "a drawing with HTML": "```mermaid\ngraph TD\n A[\"<img src='URL' onerror='HIT'>\"]\n```",
    "a drawing with a style": '```Mermaid\n%%{init: {"themeCSS": "@import \'URL\';"}}%%\ngraph TD\n A-->B\n```',
    "a drawing between tildes": f"~~~ mermaid\n{DRAWING}\n~~~",
    "a drawing in a quote": "> ```mermaid\n> " + DRAWING.replace("\n", "\n> ") + "\n> ```",
    "a drawing in a list": "- ```mermaid\n  " + DRAWING.replace("\n", "\n  ") + "\n  ```",
    "a drawing in a task": "- [ ] ```mermaid\n  " + DRAWING.replace("\n", "\n  ") + "\n  ```",
}

HARMLESS = {
    "prose": '안녕하세요! **오늘** 날씨는 *맑음*입니다 (최고 21°C) — "좋은 하루"를: a[0], x < 3, 3 > 2, A & B, ~10%.',
    "a list": "- 하나\n- 둘\n  - 셋\n1. 첫째\n2. 둘째\n- [ ] 할 일\n- [x] 한 일",
    "a table": "| 도시 | 기온 |\n|:--|--:|\n| 서울 | `a|b` |\n| 부산 | 12 |",
    "headings, a rule and a quote": "# 제목\n\n## 소제목\n\n---\n\n> 인용문\n> 둘째 줄",
    "code": '```python\nfor a[0] in b:\n    if x < 3 and a[0]:\n        print("안녕", f"{x!r}")\nd = {"a": [1]}\n```',
    "code without a name": "```\nplain text\n```",
    "code between tildes": "~~~js\nconst a = [1, 2].map(x => x * 2);\n~~~",
    "code in a list": "1. 설치합니다.\n   ```bash\n   pip install openai\n   ```\n2. 실행합니다.",
    "code on a list's own line": "- ```python\n  x = 1\n  ```\n- 다음 <- 여기",
    "code in a quote": '> ```python\n> print("안녕")\n> ```\n\n끝입니다.',
    "code in a quote that ends first": "> ```python\n> x = 1\n> ```\n글",
    "code with typed subscripts": "```python\nx[0]: int = 3\nif y[1]:\n    try:\n        pass\n    finally: pass\n```",
    "code spans": '`x = a[0]` 그리고 ``a ` b`` 그리고 `print("안녕")`',
    "mathematics": "$x^2$와 $$\\sum_{i=1}^n i$$ 그리고 $\\frac{1}{2}$입니다. $3x + 2 = 5$, $f'(x)$",
    "mathematics over lines": "$$\na < b \\\\\nc\n$$",
    "an environment": "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
    "links": '[문서](https://platform.openai.com/docs?a=1&b=2 "제목"), [메일](mailto:a@b.kr), [위로](#top), https://a.kr',
    "a reference": "[문서][1]\n\n[1]: https://platform.openai.com/docs",
    "a colon after brackets": "목록[1]: 하나\n[참고]: 둘",
    "words that name schemes": "JavaScript: 언어, data: 자료",
}

_OWN_CODE = re.compile(r"<code>(?:[\w ]|&#\d+;)*</code>|<pre><code>(?:[\w ]|&#\d+;)*</code></pre>")
_OWN_ENTITIES = r"&(?!(?:amp|lt|#33|#40|#58|#92|#96|#126);)"
_BROWSER_SPLITS = re.compile(
    r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n[\s\ufeff]*)+|@@\d+@@|\\\\[()\[\]])", re.I
)
DANGERS = {
    "a tag": r"<(?=[A-Za-z/!?])",
    "a picture": r"!\[",
    "a link to more than the web": r"\]\((?!\s*(?:https?://|mailto:|#))",
    "a scheme that runs": r"(?i:javascript|vbscript|data)\\?:(?=\S|\Z)",
    "a definition that leads off the web": r"(?i)\]:(?!\s*(?:https?://|mailto:))"
    r"[ \t]*\n?[ \t]*<?[ \t]*[\w+.-]+\\?:(?=\S|\Z)",
    "an entity of the model": _OWN_ENTITIES + r"#?\w+;|&\\?#(?!33;|40;|58;|92;|96;|126;)",
    "a control character": r"[\x00-\x08\x0b-\x1f\x7f]",
    "mathematics between double backslashes": r"\\\\[()\[\]]",
    "a drawing": r"(?im)[`~]{3,}[ \t]*mermaid[ \t]*$",
    "a fence's name in quotation marks": r"(?:`{3,}|~{3,})[^\n]*\"",
    "a TeX command that fetches or renames": r"\\(?:href|url|style|class|cssId|data|bbox|mmlToken|require|unicode"
    r"|includegraphics|csname|def|let|(?:re)?newcommand)(?![A-Za-z])",
}


def dangers(markdown: str) -> list[str]:
    """Return what in a displayed Markdown could run, load or lead somewhere it must not."""
    foreign = _OWN_CODE.sub("▮", markdown)
    found = [name for name, pattern in DANGERS.items() if re.search(pattern, foreign)]
    return found + ["mathematics that ends an attribute" for tex in browsers_mathematics(markdown) if '"' in tex]


def browsers_mathematics(text: str) -> list[str]:
    """Return what JupyterLab 4.6 takes for mathematics, step by step as its `removeMath` does."""
    fence = re.compile(r"^(?P<fence>`{3,}|~{3,})[^`\n]*\n([\s\S]*?)^(?P=fence)`*$", re.M)
    for code in (fence, re.compile(r"(^|[^\\])(`+)([^\n]*?[^`\n])\2(?!`)", re.M)):
        text = code.sub(lambda found: found[0].replace("$", "~D"), text) if re.search("`|~~~", text) else text
    found, blocks = [], _BROWSER_SPLITS.split(text)
    start = last = end = None
    depth = 0
    for at in range(1, len(blocks), 2):
        block = blocks[at]
        if block.startswith("@"):
            continue
        if start is None:
            depth, end = 0, _end_of_mathematics(block)
            start = at if end else None
        elif block == end and depth:
            last = at
        elif block == end or re.search(r"\n.*\n", block):
            stop = at if block == end else last
            found += ["".join(blocks[start : stop + 1])] if stop else []
            start = last = end = None
        else:
            depth = max(0, depth + {"{": 1, "}": -1}.get(block, 0))
    return [*found, "".join(blocks[start : last + 1])] if start and last else found


def _end_of_mathematics(block: str) -> str | None:
    if block.startswith("\\begin"):
        return "\\end" + block[6:]
    return {"$": "$", "$$": "$$", "\\\\(": "\\\\)", "\\\\[": "\\\\]"}.get(block)


# attacks


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_disarmed_at_every_moment_of_its_arrival(name: str) -> None:
    attack = ATTACKS[name].replace("HIT", "pwned=1").replace("URL", "https://evil.invalid/x")
    found = {end: dangers(safe(attack[:end])) for end in range(len(attack) + 1)}
    assert {end: what for end, what in found.items() if what} == {}


def test_the_list_has_an_attack_of_every_kind_that_the_check_knows() -> None:
    kinds = {what for attack in ATTACKS.values() for what in dangers(attack)}
    assert kinds == {*DANGERS, "mathematics that ends an attribute"}


SIGNS = [
    *("`", "``", "```", "~~~", "\n", "\n\n", " ", "    ", "\t", "$", "$$", "\\", "\\\\", "\\(", "\\)", "\\[", "\\]"),
    *("![", "[", "]", "](", "]:", "(", ")", "<", ">", "<img src=x>", "&", "#", ";", "&#106", '"', "'", "{", "}", "|"),
    *("\\begin{align}", "\\end{align}", "\\begin{a}", "\\end{a}", "\\href", "\\$", "\\{", "- ", "- [ ] ", "> ", "1. "),
    *(
        "javascript:",
        "javascript",
        ":",
        "data:",
        "mermaid",
        "https://a",
        "@@0@@",
        "x",
        "5",
        "한",
        "\ufeff",
        "\x00",
        "\r",
    ),
]
unhurried = settings(deadline=None)
markdown = st.lists(st.sampled_from(SIGNS), max_size=30).map("".join) | st.text()


@unhurried
@given(markdown)
@example('$$a\n\ufeff\nhttps://a/$$"b//$$c$$')
def test_random_markdown_is_harmless(text: str) -> None:
    assert dangers(safe(text)) == []


@unhurried
@given(markdown, st.text(max_size=3))
def test_what_a_parser_makes_of_the_place_of_a_text_does_not_matter(text: str, before: str) -> None:
    assert dangers(f"{safe(before)}\n\n{safe(text)}\n\n*끝*") == []


# what is no attack


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_text_comes_out_as_it_went_in(name: str) -> None:
    assert safe(HARMLESS[name]) == HARMLESS[name]


@unhurried
@given(st.text(alphabet="가나다 abc.,?*_-+()'\"/%=\n", max_size=60))
def test_prose_comes_out_as_it_went_in(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 and $10", "＄5 and ＄10"),
        ("가격은 $5입니다", "가격은 ＄5입니다"),
        ("US$100에서 US$200까지", "US＄100에서 US＄200까지"),
        ("\\$5와 \\$10", "＄5와 ＄10"),
        ("$5 < $x$", "＄5 < $x$"),
    ],
)
def test_dollars_that_mean_money_do_not_become_mathematics(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\(x^2\\)", "$x^2$"),
        ("\\( x \\)입니다", "$x$입니다"),
        ("답은 \\(5\\)입니다", "답은 $5$입니다"),
        ("2\\(x\\)and", "2$x$and"),
        ("\\[\n\\frac{a}{b}\n\\]", "$$\n\\frac{a}{b}\n$$"),
        ("\\[ a \\\\ b \\]", "$$ a \\\\ b $$"),
        ("$$a \\\\[2pt] b$$", "$$a \\\\ b$$"),
        ("\\(a\\ \\)", "$a\\ $"),
        ("\\[a\\\\\\]", "$$a\\\\ $$"),
        ("\\(a\\)$$b$$", "$a$ $$b$$"),
        ("$a<b$", "$a< b$"),
        ('$\\text{"a"}$', "$\\text{”a”}$"),
    ],
)
def test_mathematics_is_written_as_the_browser_reads_it(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_an_escaped_bracket_without_its_partner_stays_words() -> None:
    assert safe("\\(가") == "\\(가"
    assert "$" not in safe("\\[ 가\n\n나 \\]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("```python\nx = 1", "```python\nx = 1\n```"),
        ("~~~~\nx", "~~~~\nx\n~~~~"),
        ("- a\n  ```\n  x", "- a\n  ```\n  x\n  ```"),
        ("- ```\n  x", "- ```\n  x\n  ```"),
        ("> ```\n> x", "> ```\n> x\n> ```"),
        ("```", "```\n```"),
    ],
)
def test_an_unfinished_fence_is_closed(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_code_that_would_be_changed_is_shown_whole_as_entities() -> None:
    assert safe("```html\n<b>굵게</b>\n```") == ("<pre><code>&#60;b&#62;굵게&#60;&#47;b&#62;</code></pre>\n")
    assert safe("`<b>`는 굵게") == "<code>&#60;b&#62;</code>는 굵게"
    assert safe("> ```\n> echo $HOME\n> ```\n글") == "> <pre><code>echo &#36;HOME</code></pre>\n\n글"


def test_a_drawing_is_shown_as_its_source() -> None:
    assert safe("```mermaid\ngraph TD\n```") == "```\ngraph TD\n```"


def test_an_address_in_angle_brackets_stays_a_link_of_its_own() -> None:
    assert safe("<https://a.kr/b> 참고") == "https://a.kr/b 참고"
    assert safe("(<https://a.kr/b>)를") == "(https://a.kr/b)를"
    assert safe("<https://a.kr/b>에서") == "https://a.kr/b 에서"


# work


SLOW = {
    "backticks": lambda n: "` " * n,
    "backticks of every length": lambda n: " ".join("`" * k for k in range(1, int((2 * n) ** 0.5))),
    "dollars": lambda n: "$x" * n,
    "dollars and digits": lambda n: "$1" * n,
    "pairs of dollars": lambda n: "$$\n" * n,
    "brackets": lambda n: "[" * n + "](" * n,
    "links without an end": lambda n: "[a](" * n + " " * n,
    "definitions": lambda n: "[a]: " * n,
    "definitions before spaces": lambda n: "]:" + " " * n + "\n" * n,
    "backslashes": lambda n: "\\" * n,
    "brackets for mathematics": lambda n: "\\(" * n + "\\[" * n,
    "environments": lambda n: "\\begin{align}" * (n // 13),
    "environments of several names": lambda n: "\\begin{align}\\begin{array}\\begin{matrix}\\begin{cases}" * (n // 50),
    "braces": lambda n: "$x" + "{" * n + "$" + "}" * n,
    "tags": lambda n: "<a" * n + "<https://" * (n // 9),
    "entities": lambda n: "&#" * n + "a" * n,
    "fences": lambda n: "```\n" * n,
    "fences that stay open": lambda n: "````\n```\n" * n,
    "spaces": lambda n: " " * n + "```" + " " * n,
    "blank lines": lambda n: "`" + "\n \n" * n + "$$" + "\n " * n,
    "list markers": lambda n: "- " * n + "1. " * n + "> " * n,
}


@pytest.mark.parametrize("name", SLOW)
def test_eight_times_the_text_is_less_than_sixteen_times_the_work(name: str) -> None:
    # Linear work is eight times as much, quadratic sixty-four.
    assert cost(SLOW[name](32_000)) < 16 * cost(SLOW[name](4_000))


def cost(text: str) -> float:
    """Return the processor's seconds for a text, the least of several, with a floor against the clock's grain."""
    return max(0.001, min(_seconds(lambda: safe(text)) for _ in range(3)))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
