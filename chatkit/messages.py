"""Every sentence a learner reads, by language."""

from __future__ import annotations

KO = {
    # start and stop
    "banner_replay": "{lesson}: {counts}으로 실행합니다. 네트워크로는 아무것도 보내지 않습니다.",
    "banner_auto": (
        "{lesson}: {counts}으로 실행하고, 기록에 없는 요청만 {base} 로 보냅니다. 그때는 요금이 나올 수 있습니다."
    ),
    "banner_live": "{lesson}: 실시간(live) 모드입니다. 모든 요청을 {base} 로 보내며 요금이 나올 수 있습니다.",
    "banner_record": "{lesson}: 녹화(record) 모드입니다. 요청을 {base} 로 보내고 답을 {folder} 에 저장합니다.",
    "count_authored": "예시 응답 {n}건",
    "count_recorded": "녹화 {n}건",
    "count_none": "기록 0건",
    "other_model": "OPENAI_MODEL={asked} 대신, 기록에 쓰인 {used} 모델로 실행합니다.",
    "broken_file": "{file}: 이 기록은 읽지 못해 건너뜁니다({reason}). 나머지는 그대로 실행됩니다.",
    "dotenv_unreadable": "{path}: UTF-8 텍스트가 아니라서 읽지 않았습니다. 메모장에서 'UTF-8'로 다시 저장하세요.",
    "unknown_mode": (
        "mode 값이 잘못되었습니다. 쓸 수 있는 값: {known}. 들어온 값: {got!r}. "
        "CHATKIT_MODE(환경 변수나 .env) 또는 start(mode=…)를 고친 뒤 커널을 다시 시작하세요."
    ),
    "bad_number": "{name}에는 0 이상의 숫자가 와야 합니다. 들어온 값: {got!r}. 값을 고치고 다시 실행하세요.",
    "no_lesson": (
        "'{lesson}' 강의의 기록 폴더를 찾지 못했습니다.\n"
        "찾아본 곳: {searched}\n"
        "있는 강의: {known}\n"
        "강의 이름의 철자를 확인하고, 노트북이 recordings 폴더 옆에 있는지 보세요."
    ),
    "no_key": (
        "{mode} 모드에는 API 키가 필요한데 OPENAI_API_KEY가 비어 있습니다. "
        ".env에 OPENAI_API_KEY=… 를 적고 커널을 다시 시작하거나, 키 없이 보려면 CHATKIT_MODE=replay로 바꾸세요."
    ),
    "not_started": "chatkit.start()가 성공하지 않아서 요청을 보내지 않았습니다. 먼저 다음을 고치세요.\n{reason}",
    # requests
    "missing": "{lesson}: 이 요청에 맞는 기록이 없습니다. 네트워크로는 아무것도 보내지 않았습니다.",
    "missing_nearest": "가장 비슷한 기록은 {file} 이고, 다음이 다릅니다.",
    "missing_no_candidate": "이 강의에는 {place} 요청의 기록이 하나도 없습니다.",
    "missing_recorded": "    기록: {value}",
    "missing_now": "    지금: {value}",
    "missing_absent": "(없음)",
    "missing_more": "  … 그 밖에 {n}곳",
    "missing_key": "다른 API 키를 씀 (OpenAI(api_key=…))",
    "missing_default_key": "기본 API 키를 씀",
    "missing_ways": (
        "계속하려면 두 가지 방법이 있습니다.\n"
        "  1. 다른 점을 기록과 같게 고치고 셀을 다시 실행합니다. '바꿔 보세요'에 적힌 변경은 키 없이도 됩니다.\n"
        "  2. 실제 API에 묻습니다(요금이 나올 수 있습니다). "
        ".env에 OPENAI_API_KEY와 CHATKIT_MODE=auto를 적고 커널을 다시 시작합니다."
    ),
    "missing_broken": "읽지 못한 기록이 {n}개 있습니다: {files}. 이 요청의 기록이 그중에 있을 수 있습니다.",
    "network_blocked": (
        "replay 모드에서는 네트워크를 쓰지 않습니다. 막은 연결: {target}\n"
        "실제로 연결하려면 CHATKIT_MODE=live(환경 변수나 .env)로 바꾸고 커널을 다시 시작하거나, "
        "chatkit.stop()을 실행하세요."
    ),
    "live_call": "실시간 호출: {place} (예상 비용 {cost}, 지금까지 {spent})",
    "cost_usd": "USD {usd}",
    "cost_unknown": "알 수 없음",
    "cost_free": "USD 0, 내 컴퓨터의 서버",
    "budget": (
        "예산을 넘게 되어 요청을 보내지 않았습니다. CHATKIT_BUDGET: USD {budget}, 지금까지 쓴 추정액: USD {spent}, "
        "이 요청의 예상 비용: {cost}. 더 쓰려면 CHATKIT_BUDGET을 올리고 커널을 다시 시작하세요."
    ),
    "unrecordable": (
        "이 요청은 녹화할 수 없어서 보내지 않았습니다. 녹화할 수 있는 본문: JSON. 들어온 본문: {kind}. "
        "CHATKIT_MODE=live로 실행하면 녹화 없이 보낼 수 있습니다."
    ),
    "secret": (
        "{file}: 저장하지 않았습니다. 내용에 비밀로 보이는 값이 있습니다({what}). "
        "요청이나 응답에서 그 값을 없앤 뒤 다시 녹화하세요. 이전 기록은 그대로입니다."
    ),
    "not_saved": (
        "{file}: 저장하지 못했습니다({reason}). 이전 기록은 그대로입니다. "
        "디스크 공간과 폴더의 쓰기 권한을 확인한 뒤 다시 실행하세요."
    ),
    # scripted input
    "answers_exhausted": "input({prompt!r})에 준비된 답 {n}개를 모두 썼습니다. start(answers=…)에 답을 더 적으세요.",
    # the model table
    "model": "모델",
    "model_context": "컨텍스트(토큰)",
    "model_input": "입력 USD/100만 토큰",
    "model_output": "출력 USD/100만 토큰",
    "model_life": "수명",
    "model_active": "종료일 발표 없음",
    "model_dying": "{date} 종료 예정",
    "model_dead": "{date} 종료됨",
    "model_as_of": "{date} 기준",
    "unknown_model": "models.toml에 없는 모델입니다: {got!r}. 있는 모델: {known}.",
    # the command line
    "cli_about": "OpenAI Chat Completions 강의를 열고 관리합니다.",
    "cli_lab": "JupyterLab에서 강의를 엽니다",
    "cli_reset": "강의 하나를 처음 상태로 되돌립니다(수정하던 파일은 따로 보관됩니다)",
    "cli_lesson": "강의 번호 또는 이름. 예: 02",
    "cli_projector": "강의실 화면용 큰 글자",
    "cli_no_browser": "브라우저를 열지 않고 주소만 출력합니다",
    "lab_opening": "JupyterLab을 엽니다: {lesson}. 끝내려면 이 창에서 Ctrl+C를 두 번 누르세요.",
    "lesson_unknown": "'{got}' 강의가 없습니다. 있는 강의: {known}.",
    "no_originals": (
        "강의 원본(notebooks 폴더)을 {cwd} 와 그 위 폴더에서 찾지 못했습니다. "
        "내려받은 강의 폴더로 이동한 뒤 다시 실행하세요."
    ),
    "reset_done": "{lesson}: 처음 상태로 되돌렸습니다. 수정하던 노트북은 {kept} 에 있습니다.",
    "reset_new": "{lesson}: 새로 만들었습니다.",
}


def say(name: str, /, **values: object) -> str:
    """Return the learner's sentence called `name` with its values filled in."""
    return KO[name].format(**values)
