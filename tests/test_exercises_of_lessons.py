"""Each exercise of the lessons: ten right attempts in other words pass, each wrong one gets the hint that is meant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from cells import Cells
from isolation import PROJECT

import chatkit
from chatkit import exercises, notebooks
from chatkit.messages import say

RECORDINGS = PROJECT / "notebooks" / "recordings"
BANK = {
    each.id: (lesson.stem, each)
    for lesson in notebooks.lessons(PROJECT)
    for each in exercises.every(RECORDINGS / lesson.stem)
}
ACCEPTED = say("exercise_accepted")

PRELUDE = """
import json, os, openai
from openai import AsyncOpenAI, OpenAI
client, MODEL = OpenAI(), os.environ["OPENAI_MODEL"]

def ask(messages, **more):
    completion = client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=messages, **more)
    return completion.choices[0].message.content

def user(text):
    return {"role": "user", "content": text}

def assistant(text):
    return {"role": "assistant", "content": text}

def system(text):
    return {"role": "system", "content": text}

def streamed(text, **more):
    more = {"stream": True, **more}
    return client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=[user(text)], **more)

def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
"""


@dataclass
class Tried:
    """The attempts at one exercise: `right` with each of `words` in the place of WORDS, `wrong` by the goal missed."""

    right: list[str]
    words: list[str]
    wrong: list[tuple[str, str]]
    prelude: str = ""

    def rights(self) -> list[str]:
        count = max(len(self.right), len(self.words))
        return [
            self.right[n % len(self.right)].replace("WORDS", repr(self.words[n % len(self.words)]))
            for n in range(count)
        ]


SEA = [
    "바다는 왜 파랄까요?",
    "바다가 파란 이유를 알려 주세요.",
    "왜 바닷물은 파랗게 보이죠?",
    "한 문장으로: 바다는 왜 파란색인가요?",
    "바다색이 파란 까닭을 초등학생에게 설명해 주세요.",
    "Why is the sea blue?",
    "바다... 파란색... 왜?",
    "하늘이 아니라 바다가 파란 이유요.",
    "너는 과학자야. 바다가 왜 푸른지 말해 줘.",
    "바다는\n왜\n파란가요?",
]
LIST = [
    "파이썬의 리스트가 뭐예요?",
    "리스트란 무엇인가요?",
    "파이썬에서 리스트를 언제 쓰나요?",
    "list와 tuple의 차이는요?",
    "리스트를 비유로 설명해 주세요.",
    "What is a list in Python?",
    "파이썬 리스트 설명 부탁드립니다.",
    "초보자에게 리스트를 알려 주세요. 한 문장으로요.",
    "List가 뭔지 모르겠어요.",
    "dict 말고 리스트요. 무엇인가요?",
]
APPLES = [
    "사과 세 개를 4500원에 샀습니다. JSON으로 뽑아 주세요. 키는 item, count, price입니다.",
    "json으로만 답하세요. 키: item, count, price. 사과 세 개를 4500원에 샀습니다.",
    "다음을 JSON으로: '사과 세 개를 4,500원에 샀습니다.' item은 상품, count는 개수, price는 금액.",
    "영수증을 읽어 Json 객체로 주세요(item/count/price).\n\n사과 세 개를 4500원에 샀습니다.",
    "Extract item, count and price as JSON: 사과 세 개를 4500원에 샀습니다.",
    "<자료>사과 세 개를 4500원에 샀습니다.</자료> 위 자료를 {item, count, price} 꼴의 json으로 바꿔 주세요.",
    "price, item, count 세 가지 키를 가진 JSON 하나. 자료: 사과 세 개를 4500원에 샀습니다.",
    "상품(item), 개수(count), 금액(price)을 JSON으로. 사과 세 개를 4500원에 샀습니다.",
    "사과 세 개 4500원. json item count price.",
    "저는 가게 주인입니다. 사과 세 개를 4500원에 샀습니다 라는 말을 JSON(item, count, price)으로 정리해 주세요.",
]
JSON_MODE = 'response_format={"type": "json_object"}'
RECEIPT = """
from pydantic import BaseModel

class Receipt(BaseModel):
    item: str
    count: int
    price: int

def parse(text, form=Receipt, **more):
    return client.chat.completions.parse(
        model=MODEL, reasoning_effort="none", messages=[user(text)], response_format=form, **more
    )
"""
USAGE = 'stream_options={"include_usage": True}'
ISLANDS = [
    "한국의 섬 세 곳을 알려 주세요.",
    "섬 이름 세 개만요.",
    "우리나라에서 가 볼 만한 섬은?",
    "섬 셋을 쉼표로 이어 주세요.",
    "Name three Korean islands.",
    "여행 갈 섬을 세 곳 골라 주세요.",
    "남해의 섬을 세 곳 말해 줘",
    "섬! 셋!",
    "한국에는 어떤 섬이 있나요? 이름만 세 개.",
    "제주도 말고도 섬이 있나요? 모두 세 곳만.",
]
BOTH = f"""text, usage = "", None
for chunk in streamed(WORDS, {USAGE}):
    for choice in chunk.choices:
        text += choice.delta.content or ""
    usage = chunk.usage or usage
text, usage.completion_tokens"""
BOOKMARK = [
    "책갈피를 종이로 만드는 순서를 번호 목록으로 알려 주세요.",
    "종이 책갈피 만들기, 번호로요.",
    "책갈피는 어떻게 만드나요? 1, 2, 3으로 적어 주세요.",
    "아이와 책갈피를 만들려고 해요. 순서 목록 부탁해요.",
    "How do I make a paper bookmark? Number the steps.",
    "책갈피 만드는 법을 네 단계로.",
    "번호를 붙여서 책갈피 만드는 법을 써 주세요.",
    "종이로 된 책갈피, 순서대로",
    "책갈피를 접는 방법을 번호로 알려 주실래요?",
    "선물할 책갈피를 만들고 싶어요. 번호 목록으로 순서를 알려 주세요.",
]
FIRST = """def first_line(pieces):
    for piece in pieces:
        yield piece.split("\\n")[0]
        if "\\n" in piece:
            return
"""
SPLIT = """def first_line(pieces):
    for piece in pieces:
        head, found, _rest = piece.partition("\\n")
        yield head
        if found:
            break
"""
LISTED = """def first_line(pieces):
    kept = []
    for piece in pieces:
        kept.append(piece.splitlines()[0] if piece else "")
        if "\\n" in piece:
            break
    return kept
"""
GREEDY = """def first_line(pieces):
    over = False
    for piece in pieces:
        if not over:
            yield piece.split("\\n")[0]
        over = over or "\\n" in piece
"""
READ = """pieces = [choice.delta.content or "" for chunk in streamed(WORDS) for choice in chunk.choices]
"".join(first_line(pieces))"""
CONTROL = [
    "당신은 우주 관제사입니다. 한 문장으로 답하세요.",
    "우주 관제사처럼 짧게 교신하세요.",
    "관제센터의 관제사 말투로 답해 주세요.",
    "너는 침착한 관제사다.",
    "역할: 우주 관제사. 형식: 한 문장.",
    "관제사답게, 끝에는 '이상'을 붙이세요.",
    "모든 답을 우주선 관제 교신처럼 하세요.",
    "당신은 30년 경력의 관제사예요.",
    "관제사 페르소나를 지키세요. 요리도 임무로 다룹니다.",
    "You are a mission controller(관제사). Answer in Korean.",
]
TALK = """messages = [system(WORDS), user("라면은 몇 분 끓이나요?")]
longer = [*messages, assistant(ask(messages)), user("달걀을 넣으면요?")]
ask(longer)"""
GROWN = """messages = [{"role": "developer", "content": WORDS}, user("라면 몇 분이에요?")]
completion = client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=messages)
messages.append(completion.choices[0].message)
messages.append(user("계란도 넣을게요. 어때요?"))
client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=messages).choices[0].message.content"""
POLITE = [
    "말을 존댓말로 바꾸세요.",
    "반말을 높임말로 고쳐 주세요.",
    "입력을 존댓말로 옮기기",
    "다음 말을 공손하게 바꾸세요. 바꾼 말만 적으세요.",
    "Make it polite Korean.",
    "당신은 존댓말 선생님입니다.",
    "말끝을 -요로 바꾸세요.",
    "친구 말투를 어른께 하는 말투로.",
    "본보기처럼 바꾸세요.",
    "존댓말 변환기입니다.",
]
SHOTS = """messages = [system(WORDS)]
for casual, polite in [("밥 먹었어?", "식사하셨어요?"), ("어디 가?", "어디 가세요?")]:
    messages += [user(casual), assistant(polite)]
ask([*messages, user("언제 와?")])"""
THREE = """ask([system(WORDS), user("뭐 해?"), assistant("무엇 하세요?"), user("자?"), assistant("주무세요?"),
     user("좋아?"), assistant("좋으세요?"), user("언제 와?")])"""
ICE = [
    "얼음은 왜 물에 뜨나요?",
    "얼음이 뜨는 이유를 알려 주세요.",
    "왜 얼음은 가라앉지 않죠?",
    "물 위에 얼음이 뜨는 까닭은?",
    "Why does ice float?",
    "얼음과 물의 밀도를 비교해 주세요. 왜 뜨나요?",
    "빙산 말고 컵 속의 얼음이 뜨는 이유요.",
    "한 문장으로, 얼음은 왜 떠요?",
    "아이에게 얼음이 뜨는 이유를 설명해 주세요.",
    "얼음? 물? 왜 떠?",
]
MONTHLY = """def monthly(prompt_tokens, completion_tokens, input_price, output_price):
    once = (prompt_tokens * input_price + completion_tokens * output_price) / 1_000_000
    return once * 500 * 30
"""
ONCE = MONTHLY.replace(" * 500 * 30", "")
BY_DECIMAL = """from decimal import Decimal
def monthly(prompt_tokens, completion_tokens, input_price, output_price):
    prices = Decimal(str(input_price)), Decimal(str(output_price))
    return sum(n * price for n, price in zip((prompt_tokens, completion_tokens), prices)) * 15000 / 10**6
"""
PRICED = "monthly(usage.prompt_tokens, usage.completion_tokens, 0.10, 0.50)"
USD = """
def ask_safely(messages):
    return sent([message["content"] for message in messages][-1]), None

def sent(text):
    return client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=[user(text)])
"""
SAFELY = """
client = OpenAI(max_retries=0)

def ask_safely(messages):
    try:
        completion = client.chat.completions.create(model=MODEL, reasoning_effort="none", messages=messages)
    except openai.APIError as error:
        return None, error
    return completion, None

def error_card(error):
    return f"{type(error).__name__}: {error.message}"
"""
ASK_ALL = """def ask_all(questions):
    texts = []
    for question in questions:
        answer, problem = ask_safely([{WORDS}])
        if problem is None:
            texts.append(answer.choices[0].message.content)
        elif problem.type == "insufficient_quota":
            break
        else:
            texts.append(error_card(problem))
    return texts
ask_all(["하나", "둘", "셋", "넷", "다섯"])"""
NUMBERS = 'ask_all(["하나", "둘", "셋", "넷", "다섯"])'
BY_CODE = ASK_ALL.replace('problem.type == "insufficient_quota"', 'problem.code == "credit_balance_exhausted"')
RETURNS = ASK_ALL.replace("break", "return texts")
NEW_LIST = (
    """def ask_all(questions):
    said = []
    for q in questions:
        completion, error = ask_safely([user(q)])
        if error and error.type == "insufficient_quota":
            return said
        said += [error_card(error) if error else completion.choices[0].message.content]
    return said
"""
    + NUMBERS
)
CHAT = """
WON_TOOL = {"type": "function", "function": {
    "name": "to_won", "description": "달러를 원으로 바꿉니다. 1달러는 1,400원입니다.",
    "parameters": {"type": "object", "properties": {"usd": {"type": "number"}}, "required": ["usd"],
                   "additionalProperties": False}}}
WEATHER_TOOL = {**WON_TOOL, "function": {**WON_TOOL["function"], "name": "weather"}}
FUNCTIONS, TOOLS = {"weather": print}, [WEATHER_TOOL]

def run_tool(name, arguments):
    if name not in FUNCTIONS:
        return {"error": f"{name}라는 도구는 없습니다."}
    return FUNCTIONS[name](**json.loads(arguments))

def chat(messages):
    for _ in range(5):
        completion = client.chat.completions.create(
            model=MODEL, reasoning_effort="none", messages=messages, tools=TOOLS
        )
        message = completion.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            content = json.dumps(run_tool(call.function.name, call.function.arguments), ensure_ascii=False)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
"""
TO_WON = """def to_won(usd):
    return {"won": usd * 1400}
"""
HANDED = TO_WON + 'FUNCTIONS["to_won"] = to_won\nTOOLS = [WON_TOOL]\n'
DOLLARS = [
    "20달러는 몇 원인가요?",
    "20달러를 원으로 바꿔 주세요.",
    "미국 돈 20달러는 한국 돈으로 얼마예요?",
    "USD 20 = KRW ?",
    "20 dollars in won, please.",
    "책이 20달러래요. 원으로는요?",
    "20달러짜리 티셔츠는 우리 돈으로 얼마죠?",
    "이십 달러는 몇 원인가요?",
    "지금 20달러 있어요. 원화로 얼마일까요?",
    "환율을 써서 20달러를 계산해 주세요.",
]
FOUND = "`unanswered`가 결과 없는 부탁만 찾기"
FIND = """def unanswered(history):
    asked = [call["id"] for message in history for call in message.get("tool_calls", [])]
    answered = [message["tool_call_id"] for message in history if message["role"] == "tool"]
    return [name for name in asked if name not in answered]
"""
WAITING = """def unanswered(history):
    waiting = []
    for message in history:
        waiting += [call["id"] for call in message.get("tool_calls", [])]
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
    return waiting
"""
AS_DICT = """def unanswered(history):
    open_calls = {}
    for message in history:
        for call in message.get("tool_calls") or []:
            open_calls[call["id"]] = call
        open_calls.pop(message.get("tool_call_id"), None)
    return list(open_calls)
"""

TRIED = {
    "01-ask": Tried(
        [
            "ask([user(WORDS)])",
            'ask([{"content": WORDS, "role": "user"}], temperature=0.3)',
            "ask([system('짧게'), user(WORDS)])",
        ],
        SEA,
        [
            ("ask([assistant('바다는 왜 파란가요?')])", "사용자(`user`)의 메시지로 묻기"),
            ("ask([system('바다는 왜 파란가요?')])", "사용자(`user`)의 메시지로 묻기"),
            ("ask([user('')])", "사용자(`user`)의 메시지로 묻기"),
            ("ask([user('하늘은 왜 파란가요?')])", "바다에 대해 묻기"),
            ("ask([user('바다는 왜 파란가요?'), assistant('그건…')])", "사용자(`user`)의 메시지로 묻기"),
            ("print(ask([user('바다는 왜 파란가요?')]))", "답변 내용만 셀의 결과로"),
            ("old = '안녕하세요!'\nask([user('바다는 왜 파란가요?')])\nold", "답변 내용만 셀의 결과로"),
            ("ask([{'role': '사용자', 'content': '바다는 왜 파란가요?'}])", ACCEPTED),
            ("ask(['너는 과학자야.', user('바다는 왜 파란가요?')])", ACCEPTED),
            (
                "client.chat.completions.create(model=MODEL, messages=[user('바다는 왜 파란가요?')])",
                "답변 내용만 셀의 결과로",
            ),
            ("ask([])", ACCEPTED),
            ("ask([user('바다는 왜 파란가요?')], max_tokens=20)", ACCEPTED),
        ],
    ),
    "01-body": Tried(
        [
            "response = client.chat.completions.with_raw_response.create(model=MODEL, messages=[user(WORDS)])\n"
            "json.loads(response.http_request.content)",
            "sent = client.chat.completions.with_raw_response.create(\n"
            '    model=MODEL, reasoning_effort="none", messages=[user(WORDS)]).http_request\n'
            "body = json.loads(sent.content.decode())\nbody",
        ],
        LIST,
        [
            ("ask([user('튜플이 뭐예요?')])", "사용자(`user`)의 메시지로 리스트에 대해 묻기"),
            ("ask([system('리스트가 뭐예요?')])", "사용자(`user`)의 메시지로 리스트에 대해 묻기"),
            ("ask([user('리스트가 뭐예요?')])", "보낸 본문을 dict로 보여 주기"),
            (
                "client.chat.completions.with_raw_response.create(\n"
                "    model=MODEL, messages=[user('리스트가 뭐예요?')]).http_request.content",
                "보낸 본문을 dict로 보여 주기",
            ),
            (
                "json.loads(client.chat.completions.with_raw_response.create(\n"
                "    model=MODEL, messages=[user('리스트가 뭐예요?')]).content)['choices'][0]",
                "보낸 본문을 dict로 보여 주기",
            ),
            (
                "old = {'model': MODEL, 'messages': [user('오늘 부산 날씨는?')]}\nask([user('리스트가 뭐예요?')])\nold",
                "보낸 본문을 dict로 보여 주기",
            ),
            ("ask([user('리스트가 뭐예요?')], stop=['.'])", ACCEPTED),
        ],
    ),
    "02-json": Tried(
        [
            f"bought = json.loads(ask([user(WORDS)], {JSON_MODE}))\nbought['price'] / bought['count']",
            f"data = ask([system('영수증을 읽습니다.'), user(WORDS)], {JSON_MODE}, temperature=0)\n"
            "data = json.loads(data)\ndata['price'] // data['count']",
            "async with AsyncOpenAI() as own:\n"
            '    got = await own.chat.completions.create(model=MODEL, reasoning_effort="none",\n'
            f"        messages=[user([{{'type': 'text', 'text': WORDS}}][0]['text'])], {JSON_MODE})\n"
            "bought = json.loads(got.choices[0].message.content)\nbought['price'] / bought['count']",
        ],
        APPLES,
        [
            (f"ask([user(json.dumps('배 두 개 json item count price'))], {JSON_MODE})", "사과를 산 문장 보내기"),
            (f"ask([user({APPLES[0]!r})])", "JSON 모드 켜기"),
            (f"ask([user({APPLES[0]!r})], response_format={{'type': 'text'}})", "JSON 모드 켜기"),
            (
                f"ask([user('사과 세 개를 4500원에 샀습니다. json으로 주세요.')], {JSON_MODE})",
                "메시지에 키의 이름 적기",
            ),
            (
                f"ask([user('사과 세 개를 4500원에 샀습니다. json으로. 키는 item, price')], {JSON_MODE})",
                "메시지에 키의 이름 적기",
            ),
            (f"ask([user('사과 세 개를 4500원에 샀습니다. 키는 item, count, price')], {JSON_MODE})", ACCEPTED),
            (f"ask([user({APPLES[0]!r})], {JSON_MODE}, max_tokens=50)", ACCEPTED),
            (f"ask([user({APPLES[0]!r})], {JSON_MODE})", "한 개의 가격을 셀의 결과로"),
            (f"json.loads(ask([user({APPLES[0]!r})], {JSON_MODE}))", "한 개의 가격을 셀의 결과로"),
            (f"json.loads(ask([user({APPLES[0]!r})], {JSON_MODE}))['price']", "한 개의 가격을 셀의 결과로"),
        ],
    ),
    "02-parse": Tried(
        [
            "message = parse(WORDS).choices[0].message\n"
            "message.refusal if message.parsed is None else message.parsed.price / message.parsed.count",
            "got = parse(WORDS, temperature=0.2).choices[0].message.parsed\ngot.price / got.count",
        ],
        [words.replace("JSON", "표") for words in APPLES],
        [
            ("parse('배 두 개를 샀습니다.')", "사과를 산 문장 보내기"),
            (f"ask([user({APPLES[0]!r})])", "클래스를 `response_format`으로 넘기기"),
            (f"ask([user({APPLES[0]!r})], {JSON_MODE})", "클래스를 `response_format`으로 넘기기"),
            (
                "class Bill(BaseModel):\n    item: str\n    price: int\nparse('사과 세 개를 4500원에 샀습니다.', Bill)",
                "`item`, `count`, `price`를 알맞은 자료형으로",
            ),
            (
                "class Bill(BaseModel):\n    item: str\n    count: str\n    price: str\n"
                "parse('사과 세 개를 4500원에 샀습니다.', Bill)",
                "`item`, `count`, `price`를 알맞은 자료형으로",
            ),
            ("parse('사과 세 개를 4500원에 샀습니다.').choices[0].message.parsed", "한 개의 가격을 셀의 결과로"),
            ("parse('사과 세 개를 4500원에 샀습니다.')", "한 개의 가격을 셀의 결과로"),
            ("print(parse('사과 세 개를 4500원에 샀습니다.').choices[0].message.parsed)", "한 개의 가격을 셀의 결과로"),
        ],
        prelude=RECEIPT,
    ),
    "03-usage": Tried(
        [
            BOTH,
            BOTH.replace("for choice in chunk.choices:", "if chunk.choices:").replace(
                "choice.delta", "chunk.choices[0].delta"
            ),
        ],
        ISLANDS,
        [
            (BOTH.replace("WORDS", "'산 세 곳은?'"), "섬에 대해 묻기"),
            ("ask([user('섬 세 곳은?')])", "스트리밍으로 보내기"),
            (f"streamed('섬 세 곳은?', stream=False, {USAGE})", "스트리밍으로 보내기"),
            ("text_of(streamed('섬 세 곳은?'))", "사용량도 달라고 하기"),
            (
                "text_of(streamed('섬 세 곳은?', stream_options={'include_usage': False}))",
                "사용량도 달라고 하기",
            ),
            (f"text_of(streamed('섬 세 곳은?', {USAGE}))", "모은 글과 토큰 수를 튜플로"),
            (
                f"''.join(chunk.choices[0].delta.content or '' for chunk in streamed('섬 세 곳은?', {USAGE}))",
                "모은 글과 토큰 수를 튜플로",
            ),
            (f"text_of(streamed('섬 세 곳은?', {USAGE})), 12", "모은 글과 토큰 수를 튜플로"),
            (
                f"chunks = list(streamed('섬 세 곳은?', {USAGE}))\ntext_of(chunks), chunks[-1].usage.total_tokens",
                "모은 글과 토큰 수를 튜플로",
            ),
            (
                f"chunks = list(streamed('섬 세 곳은?', {USAGE}))\ntext_of(chunks), chunks[-1].usage",
                "모은 글과 토큰 수를 튜플로",
            ),
        ],
    ),
    "03-first-line": Tried(
        [FIRST + READ, SPLIT + READ, LISTED + READ],
        BOOKMARK,
        [
            (
                READ.replace("first_line(pieces)", "pieces").replace("WORDS", repr(BOOKMARK[0])),
                "`first_line`이 줄바꿈 앞까지만 내놓기",
            ),
            (
                "def first_line(pieces):\n    return ''.join(pieces).split('\\n')[0]\n",
                "`first_line`이 줄바꿈 앞까지만 내놓기",
            ),
            (GREEDY + READ.replace("WORDS", repr(BOOKMARK[0])), "`first_line`이 줄바꿈 앞까지만 내놓기"),
            (FIRST + "text_of(streamed('책갈피 만드는 순서는?'))", "첫 줄의 조각을 이어 붙인 글을 셀의 결과로"),
            ("def first_line(pieces):\n    yield from pieces\n", "`first_line`이 줄바꿈 앞까지만 내놓기"),
            (
                "def first_line(pieces):\n    for piece in pieces:\n        if '\\n' in piece:\n            return\n"
                "        yield piece\n",
                "`first_line`이 줄바꿈 앞까지만 내놓기",
            ),
            ("def first_line(pieces):\n    pieces[0]\n", "`first_line`이 줄바꿈 앞까지만 내놓기"),
            (FIRST + READ.replace("WORDS", "'종이배를 접는 순서는?'"), "책갈피에 대해 묻기"),
            (FIRST + "ask([user('책갈피 만드는 순서는?')])", "스트리밍으로 보내기"),
            (FIRST + "first_line(streamed('책갈피 만드는 순서는?'))", "첫 줄의 조각을 이어 붙인 글을 셀의 결과로"),
        ],
    ),
    "04-memory": Tried(
        [TALK, GROWN],
        CONTROL,
        [
            ("ask([user('라면은 몇 분 끓이나요?')])", "첫 요청: 시스템 메시지 다음에 질문"),
            ("ask([user('라면은요?'), system('관제사입니다.')])", "첫 요청: 시스템 메시지 다음에 질문"),
            ("ask([system('요리사입니다.'), user('라면은 몇 분 끓이나요?')])", "첫 요청: 관제사의 지침"),
            ("ask([system('관제사입니다.'), user('국수는 몇 분 끓이나요?')])", "첫 요청: 라면을 묻기"),
            (
                "ask([system('관제사입니다.'), user('라면은요?')])\nask([system('관제사입니다.'), user('달걀은요?')])",
                "둘째 요청: 지침, 첫 질문, 첫 답, 새 질문의 차례",
            ),
            (
                "first = ask([system('관제사입니다.'), user('라면은요?')])\n"
                "ask([user('라면은요?'), assistant(first), user('달걀은요?')])",
                "둘째 요청: 지침, 첫 질문, 첫 답, 새 질문의 차례",
            ),
            (
                "first = ask([system('관제사입니다.'), user('라면은요?')])\n"
                "ask([system('짧게 답하세요.'), user('라면은요?'), assistant(first), user('달걀은요?')])",
                "둘째 요청: 관제사의 지침을 다시 싣기",
            ),
            (
                "ask([system('관제사입니다.'), user('라면은요?')])\n"
                "ask([system('관제사입니다.'), user('라면은요?'), assistant(''), user('달걀은요?')])",
                "둘째 요청: 받은 답을 그대로 싣기",
            ),
            (
                TALK.replace("WORDS", "'관제사입니다.'")
                .replace("ask(messages)", "'4분입니다.'")
                .replace("longer =", "ask(messages)\nlonger ="),
                "둘째 요청: 받은 답을 그대로 싣기",
            ),
            (
                TALK.replace("WORDS", "'관제사입니다.'").replace("달걀을 넣으면요?", "파를 넣으면요?"),
                "둘째 요청: 달걀을 묻기",
            ),
            (
                TALK.replace("WORDS", "'관제사입니다.'").replace("\nask(longer)", "\nprint(ask(longer))"),
                "둘째 답을 셀의 결과로",
            ),
        ],
    ),
    "04-few-shot": Tried(
        [SHOTS, THREE],
        POLITE,
        [
            (SHOTS.replace("[system(WORDS)]", "[]"), "시스템 메시지로 시작하기"),
            ("ask([user('언제 와?')])", "시스템 메시지로 시작하기"),
            ("ask([system('존댓말로'), user('언제 와?')])", "본보기 두 쌍 이상을 번갈아 넣기"),
            (
                "ask([system('존댓말로'), user('뭐 해?'), assistant('무엇 하세요?'), user('언제 와?')])",
                "본보기 두 쌍 이상을 번갈아 넣기",
            ),
            (
                "ask([system('존댓말로'), user('뭐 해?'), user('자?'), assistant('무엇 하세요?'), "
                "assistant('주무세요?'), user('언제 와?')])",
                "본보기 두 쌍 이상을 번갈아 넣기",
            ),
            (
                SHOTS.replace("WORDS", "'존댓말로'").replace(
                    "[user(casual), assistant(polite)]", "[user(polite), assistant(casual)]"
                ),
                "본보기의 답은 존댓말로",
            ),
            (SHOTS.replace("WORDS", "'존댓말로'").replace("언제 와?", "언제 가?"), "마지막에 `언제 와?` 묻기"),
            (SHOTS.replace("WORDS", "'존댓말로'").replace("\nask(", "\nprint(ask(") + ")", "답의 글을 셀의 결과로"),
        ],
    ),
    "05-bill": Tried(
        [
            MONTHLY + "usage = sent(WORDS).usage\n" + PRICED,
            MONTHLY.replace("* 500 * 30", "* 15000") + "usage = ask_safely([user(WORDS)])[0].usage\n" + PRICED,
            BY_DECIMAL + "usage = sent(WORDS).usage\nround(" + PRICED + ", 4)",
        ],
        ICE,
        [
            (ONCE, "`monthly`가 한 달 요금을 계산하기"),
            (MONTHLY.replace("* 500 * 30", "* 500"), "`monthly`가 한 달 요금을 계산하기"),
            (MONTHLY.replace("* 500 * 30", "* 500 * 31"), "`monthly`가 한 달 요금을 계산하기"),
            (
                MONTHLY.replace("completion_tokens * output", "completion_tokens * input"),
                "`monthly`가 한 달 요금을 계산하기",
            ),
            (MONTHLY.replace(" / 1_000_000", ""), "`monthly`가 한 달 요금을 계산하기"),
            (MONTHLY.replace("return once * 500 * 30", "print(once * 500 * 30)"), "`monthly`가 한 달 요금을 계산하기"),
            (MONTHLY, "얼음에 대해 묻기"),
            (MONTHLY + "sent('불은 왜 뜨겁나요?')", "얼음에 대해 묻기"),
            (MONTHLY + "for _ in range(15_000):\n    sent('얼음은 왜 뜨나요?')", "한 번만 보내기"),
            (MONTHLY + "sent('얼음은 왜 뜨나요?').usage.total_tokens * 500 * 30", "한 달 요금을 셀의 결과로"),
            (MONTHLY + "usage = sent('얼음은 왜 뜨나요?').usage\nprint(" + PRICED + ")", "한 달 요금을 셀의 결과로"),
            (MONTHLY + "ask_safely([user('얼음은 왜 뜨나요?')])[0].usage", "한 달 요금을 셀의 결과로"),
            (MONTHLY + "ask_safely([user('얼음은 왜 뜨나요?')]).usage", "한 달 요금을 셀의 결과로"),
        ],
        prelude=USD,
    ),
    "05-go-or-stop": Tried(
        [ASK_ALL, BY_CODE, RETURNS],
        [],
        [
            (ASK_ALL.replace("ask_safely([{WORDS}])", "ask_safely([user(questions[0])])"), "`둘`을 묻기"),
            (ASK_ALL.replace("{WORDS}", "user(question)").replace('["하나"', '["영", "하나"'), "`하나`를 묻기"),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace('problem.type == "insufficient_quota"', "problem"),
                "`셋`을 묻기",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace(
                    'problem.type == "insufficient_quota"', "isinstance(problem, openai.RateLimitError)"
                ),
                "`셋`을 묻기",
            ),
            (ASK_ALL.replace("[{WORDS}]", "question"), ACCEPTED),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace("error_card(problem)", "'오류가 났습니다'"),
                "답, 카드, 답의 글 세 개를 목록으로",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace('problem.type == "insufficient_quota"', "False"),
                "크레딧이 없으면 더 보내지 않기",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace("break", "continue"),
                "크레딧이 없으면 더 보내지 않기",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace(
                    "            texts.append(error_card(problem))", "            pass"
                ),
                "답, 카드, 답의 글 세 개를 목록으로",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace(".choices[0].message.content", ""),
                "답, 카드, 답의 글 세 개를 목록으로",
            ),
            (
                ASK_ALL.replace("{WORDS}", "user(question)").replace("    return texts\n", ""),
                "답, 카드, 답의 글 세 개를 목록으로",
            ),
        ],
        prelude=SAFELY,
    ),
    "06-won": Tried(
        [
            HANDED + "messages = [user(WORDS)]\nchat(messages)",
            HANDED + "said = chat([system('짧게'), user(WORDS)])\nsaid",
            TO_WON.replace("usd * 1400", "1400 * usd")
            + "FUNCTIONS, TOOLS = {'to_won': to_won}, [WON_TOOL, WEATHER_TOOL]\nchat([user(WORDS)])",
        ],
        DOLLARS,
        [
            ("TOOLS = [WON_TOOL]\nchat([user('20달러는 몇 원인가요?')])", "`to_won`이 원으로 바꾸기"),
            (HANDED.replace('{"won": usd * 1400}', "usd * 1400"), "`to_won`이 원으로 바꾸기"),
            (HANDED.replace("usd", "dollar") + "chat([user('20달러는?')])", "`to_won`이 원으로 바꾸기"),
            (HANDED.replace("to_won(usd)", "to_won()"), "`to_won`이 원으로 바꾸기"),
            (HANDED.replace("1400", "1300") + "chat([user('20달러는?')])", "`to_won`이 원으로 바꾸기"),
            (HANDED + "chat([user('오늘 환율은?')])", "20달러를 묻기"),
            (HANDED + "chat([user('120달러는 몇 원인가요?')])", "20달러를 묻기"),
            (HANDED + "chat([user('20유로는 몇 원인가요?')])", "20달러를 묻기"),
            (TO_WON + "FUNCTIONS['to_won'] = to_won\nchat([user('20달러는?')])", "`to_won`의 설명서 싣기"),
            (HANDED + "ask([user('20달러는?')])", "`to_won`의 설명서 싣기"),
            (TO_WON + "TOOLS = [WON_TOOL]\nchat([user('20달러는?')])", "`to_won`의 결과 28000을 싣기"),
            (HANDED + "ask([user('20달러는?')], tools=TOOLS)", "부탁 다음에 결과를 돌려주기"),
            (HANDED + "print(chat([user('20달러는?')]))", "마지막 답을 셀의 결과로"),
            (
                HANDED + "client.chat.completions.create(model=MODEL, messages=[user('20달러는?')], tools=TOOLS)",
                ACCEPTED,
            ),
            (
                HANDED + "ask([user('20달러는?')], tools=TOOLS)\n"
                "ask([user('20달러는?'), {'role': 'tool', 'tool_call_id': 'call_1', 'content': '28000'}], tools=TOOLS)",
                ACCEPTED,
            ),
        ],
        prelude=CHAT,
    ),
    "06-unanswered": Tried(
        [FIND, WAITING, AS_DICT],
        [],
        [
            (FIND.replace("return [name", "return sorted([name").replace("answered]", "answered])"), FOUND),
            ("def unanswered(history):\n    return ['call_2']\n", FOUND),
            (
                FIND.replace("return [name for name in asked if name not in answered]", "return asked"),
                FOUND,
            ),
            (FIND.replace("not in answered", "in answered"), FOUND),
            (
                FIND.replace("return [name for name in asked if name not in answered]", "print(asked)"),
                FOUND,
            ),
            (
                FIND.replace('message.get("tool_calls", [])', 'message["tool_calls"]'),
                FOUND,
            ),
            (
                FIND.replace("return [name", "return {name").replace("answered]", "answered}"),
                FOUND,
            ),
            ("unanswered = ['call_2']", FOUND),
        ],
    ),
}
VARIED = {
    "05-go-or-stop": [
        code.replace("{WORDS}", message)
        for code in (ASK_ALL, BY_CODE, RETURNS)
        for message in (
            "user(question)",
            '{"role": "user", "content": question}',
            "user(f'{question}에 대해 알려 주세요.')",
        )
    ]
    + [NEW_LIST],
    "06-unanswered": [
        code.replace("history", name)
        for code in (FIND, WAITING, AS_DICT)
        for name in ("history", "messages", "talk", "saved")
    ],
}
RIGHT = [(name, code) for name, tried in TRIED.items() for code in VARIED.get(name) or tried.rights()]
WRONG = [(name, code, goal) for name, tried in TRIED.items() for code, goal in tried.wrong]


def begun(name: str, cells: Cells) -> str:
    """Start the lesson of an exercise with its helpers defined, and return the first line of its cell."""
    chatkit.start(BANK[name][0], folder=RECORDINGS, speed=0)
    cells.names["chatkit"] = chatkit
    cells.run(PRELUDE + TRIED[name].prelude)
    assert cells.error is None
    return f'chatkit.exercise("{name}")\n'


def hints(name: str, goal: str) -> tuple[str, ...]:
    exercise = BANK[name][1]
    extra = [goal for goal in (exercise.value, exercise.nothing_more) if goal]
    goals = [*exercise.functions, *(rule for step in exercise.steps for rule in step.rules), *extra]
    return next(each.hints for each in goals if each.goal == goal)


def test_every_exercise_is_tried() -> None:
    assert TRIED.keys() == BANK.keys()
    for name, tried in TRIED.items():
        assert len(tried.wrong) >= 5
        assert len({code for own, code in RIGHT if own == name}) >= 10


@pytest.mark.parametrize(("name", "code"), RIGHT)
def test_a_right_attempt_passes_in_whatever_words(name: str, code: str, cells: Cells) -> None:
    card = cells.attempt(begun(name, cells) + code)
    assert card.passed, f"{card.text}\n{cells.error!r}"
    assert cells.error is None
    assert name in json.loads(Path("progress.json").read_text(encoding="utf-8"))["done"]


@pytest.mark.parametrize(("name", "code", "goal"), WRONG)
def test_a_wrong_attempt_gets_the_hint_that_is_meant(name: str, code: str, goal: str, cells: Cells) -> None:
    card = cells.attempt(begun(name, cells) + code)
    assert not card.passed
    if goal == ACCEPTED:
        assert card.goals[ACCEPTED] == "missed"
        assert card.hint not in hints_of_all(name)
    else:
        assert card.hint in hints(name, goal), card.text


def hints_of_all(name: str) -> set[str]:
    exercise = BANK[name][1]
    return {hint for step in exercise.steps for rule in step.rules for hint in rule.hints}


@pytest.mark.parametrize("name", BANK)
def test_an_untouched_cell_says_so_and_shows_the_goals(name: str, cells: Cells) -> None:
    card = cells.attempt(begun(name, cells) + "# 여기에 이어서 씁니다")
    assert say("exercise_untouched") in card.head or say("exercise_no_function") in card.head
    assert set(card.states) == {"waiting"}
    assert card.hint is None
    assert BANK[name][1].task in card.markdown
