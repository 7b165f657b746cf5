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
    "dotenv_encoding": "{path}: UTF-8 텍스트가 아니라서 읽지 않았습니다. 메모장에서 'UTF-8'로 다시 저장하세요.",
    "dotenv_denied": "{path}: 읽지 못했습니다({reason}). 파일의 읽기 권한을 확인하고 커널을 다시 시작하세요.",
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
    "bad_key": (
        "OPENAI_API_KEY에는 영문자, 숫자, 기호만 쓸 수 있는데 한글이나 둥근 따옴표, 빈칸, 줄바꿈이 들어 있습니다. "
        "키를 다시 복사해 .env에 따옴표 없이 적고 커널을 다시 시작하세요(python start.py doctor가 위치를 알려 줍니다)."
    ),
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
    "page_forgets": (
        "이 페이지는 파일과 진도를 저장하지 못합니다. "
        "간직하려면 https 주소나 localhost에서, 비공개 창이 아닌 창으로 여세요."
    ),
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
    # doctor
    "cli_doctor": "이 컴퓨터에서 강의를 실행할 준비가 되었는지 확인합니다",
    "doctor_good": "좋음",
    "doctor_caution": "주의",
    "doctor_trouble": "문제",
    "doctor_result": "결과: 문제 {troubles}건, 주의 {cautions}건",
    "doctor_failed": (
        "확인을 마치지 못한 항목이 있습니다: {check}({error}).\n"
        "나머지 결과는 그대로 믿어도 됩니다. 강의가 실행되지 않으면 이 줄을 강사나 저자에게 알려 주세요."
    ),
    "doctor_python": "Python {version} ({system})",
    "doctor_packages": "패키지: {versions}",
    "doctor_unmet": (
        "강의에 맞지 않는 패키지: {unmet}. 괄호 안이 설치된 버전이고 0은 없다는 뜻입니다.\n"
        ".venv 폴더를 지우고 python start.py를 다시 실행하세요."
    ),
    "doctor_not_installed": (
        "강의 패키지가 설치되어 있지 않아 버전을 비교하지 못했습니다.\n"
        "내려받은 강의 폴더에서 python start.py doctor로 실행하세요."
    ),
    "doctor_dotenv": "설정 파일: {path} (설정 {n}개)",
    "doctor_dotenv_none": "설정 파일: .env 없음. 키 없이 재생할 때는 필요하지 않습니다.",
    "doctor_dotenv_lines": (
        "{path}: 읽지 못했거나 값이 없는 줄이 있습니다({lines}번째 줄).\n"
        "한 줄에 하나씩 이름=값으로 적으세요. 설명을 적은 줄은 #으로 시작해야 합니다."
    ),
    "doctor_dotenv_no_file": (
        "{path}: 텍스트 파일이 아니라서 읽지 않습니다(폴더이거나 특수한 파일).\n"
        "이름을 바꾸고, .env라는 텍스트 파일을 새로 만드세요."
    ),
    "doctor_dotenv_closed": "{path}: 읽을 권한이 없거나 열리지 않습니다.\n파일의 주인과 읽기 권한을 확인하세요.",
    "doctor_dotenv_no_text": (
        "{path}: UTF-8 텍스트가 아니라서 읽지 못합니다(UTF-16이거나 깨진 파일).\n"
        "메모장에서 열어 '다른 이름으로 저장'을 누르고, 인코딩에서 'UTF-8'을 골라 다시 저장하세요."
    ),
    "doctor_dotenv_name": (
        "{path}: 이름이 .env.txt라서 읽지 않습니다.\n"
        "이름을 .env로 바꾸세요. 끝의 .txt가 보이지 않으면 Windows 탐색기에서 '보기 > 표시 > 파일 확장명'을 켜세요."
    ),
    "doctor_ignored": "git: .env는 저장소에 올라가지 않습니다.",
    "doctor_not_ignored": (
        "git: {path} 파일이 저장소에 올라갈 수 있습니다.\n"
        ".gitignore에 .env라고 한 줄 적으세요. 이미 올렸다면 git rm --cached .env를 실행하고 키를 폐기하세요."
    ),
    "doctor_git_failed": (
        "git: .env가 저장소에 올라가는지 확인하지 못했습니다.\n.gitignore에 .env라고 적은 줄이 있는지 보세요."
    ),
    "doctor_mode": "모드: {mode}",
    "doctor_mode_unknown": (
        "모드: CHATKIT_MODE 값이 잘못되었습니다. 쓸 수 있는 값: {known}. 들어온 값: '{got}'.\n"
        "환경 변수나 .env에서 CHATKIT_MODE를 고치거나 지우세요."
    ),
    "doctor_environment": "환경 변수 OPENAI_API_KEY",
    "doctor_key": "API 키: {place} ({key})",
    "doctor_no_key": "API 키: 없음. 키 없이도 재생으로 실행됩니다.",
    "doctor_no_key_auto": (
        "API 키: 없음. 기록이 있는 요청만 실행됩니다.\n기록에 없는 요청도 보내려면 .env에 OPENAI_API_KEY=… 를 적으세요."
    ),
    "doctor_no_key_live": (
        "API 키: 없음. {mode} 모드에는 키가 필요합니다.\n"
        ".env에 OPENAI_API_KEY=… 를 적거나, 키 없이 보려면 CHATKIT_MODE=replay로 바꾸세요."
    ),
    "doctor_key_curly": (
        "API 키: 둥근 따옴표(“ ” ‘ ’)가 들어 있습니다({place}, {key}).\n따옴표를 모두 지우고 키만 적으세요."
    ),
    "doctor_key_quoted": (
        "API 키: 따옴표까지 키로 들어갔습니다({place}, {key}).\n"
        "따옴표 없이 다시 설정하세요. Windows 명령 프롬프트의 set은 따옴표도 값으로 넣습니다."
    ),
    "doctor_key_foreign": (
        "API 키: 한글처럼 키에 쓸 수 없는 글자가 들어 있습니다({place}, {key}).\n"
        "안내 문구를 모두 지우고, 만들어 둔 키를 그대로 붙여 넣으세요."
    ),
    "doctor_key_spaces": (
        "API 키: 빈칸이나 줄바꿈이 들어 있습니다({place}, {key}).\n빈칸을 지우고 키를 한 줄로 적으세요."
    ),
    "doctor_key_unusual": (
        "API 키: OpenAI의 키처럼 sk-로 시작하지 않습니다({place}, {key}).\n"
        "키를 처음부터 끝까지 다시 복사하세요. 다른 서버의 키라면 OPENAI_BASE_URL도 적으세요."
    ),
    "doctor_key_hidden": (
        "API 키: {path} 에도 다른 키가 있지만 환경 변수의 키가 먼저 쓰입니다.\n"
        ".env의 키를 쓰려면 환경 변수 OPENAI_API_KEY를 지우고 터미널과 JupyterLab을 다시 여세요."
    ),
    "doctor_model": "모델: {model} ({life}, {as_of} 기준)",
    "doctor_model_unknown": (
        "모델: {model} (모르는 이름이라 종료일을 알 수 없습니다)\n"
        "OPENAI_MODEL의 철자를 확인하세요. 강의의 모델은 {course}입니다."
    ),
    "doctor_model_dying": (
        "모델: {model} ({date}에 종료됩니다)\n"
        "그 전에 OPENAI_MODEL을 지우거나 다른 모델로 바꾸세요. 강의의 모델({course})이라면 강의를 새로 내려받으세요."
    ),
    "doctor_model_dead": (
        "모델: {model} ({date}에 종료되어, 실제 API에 요청하면 404 오류가 납니다)\n"
        "OPENAI_MODEL을 지우거나 다른 모델로 바꾸세요. 강의의 모델({course})이라면 강의를 새로 내려받으세요."
    ),
    "doctor_font": "한글 글꼴: 있음",
    "doctor_font_missing": (
        "한글 글꼴: 없음. 이 컴퓨터의 브라우저에서 한글이 네모로 보일 수 있습니다.\n"
        "Ubuntu와 Debian에서는 sudo apt install fonts-noto-cjk를 실행하세요."
    ),
    "doctor_kernel": "Jupyter 커널: 시작해서 1+1을 실행했습니다({answer}).",
    "doctor_kernel_failed": (
        "Jupyter 커널: 시작하지 못했거나 답이 없습니다({error}).\n"
        ".venv 폴더를 지우고 python start.py를 다시 실행하세요. 그래도 같다면 백신 프로그램이 막는지 확인하세요."
    ),
    # a streamed reply
    "stream_length": "길이 제한에 걸려 여기서 끊겼습니다(finish_reason: length).",
    "stream_filtered": "내용 필터에 걸려 여기서 끊겼습니다(finish_reason: content_filter).",
    "stream_unfinished": "끝났다는 표시(finish_reason) 없이 멈췄습니다. 답이 덜 왔을 수 있습니다.",
    "stream_empty": "조각이 하나도 오지 않았습니다.",
    "stream_stopped": "여기서 멈췄습니다. 위는 그때까지 온 내용입니다.",
    "stream_broken": "여기서 끊겼습니다. 위는 그때까지 온 내용이고, 아래 오류가 이유를 알려 줍니다.",
    "stream_choice": "**후보 {n}**\n\n{text}",
    "stream_refusal": "모델이 거절했습니다(refusal): {text}",
    "stream_tool_call": "도구 호출(tool_calls): {call}",
    "stream_not_awaited": (
        "chatkit.stream()에 아직 기다리지 않은 요청이 들어왔습니다. "
        "AsyncOpenAI의 요청은 chunks = await client.chat.completions.create(…, stream=True)로 먼저 받으세요."
    ),
    "stream_not_streamed": (
        "chatkit.stream()에는 스트림이 와야 하는데, 다 받은 응답(ChatCompletion)이 왔습니다. "
        "create()에 stream=True를 더해 보내세요."
    ),
    "stream_not_entered": (
        "client.chat.completions.stream(…)은 with와 함께 씁니다. "
        "with client.chat.completions.stream(…) as events: 아래에서 chatkit.stream(events)를 부르세요."
    ),
    "stream_nothing": (
        "chatkit.stream()에는 스트림이 와야 합니다. 들어온 값의 타입: {got}. "
        "create(…, stream=True)가 돌려준 값을 그대로 넣으세요."
    ),
    "stream_item": (
        "스트림에서 조각(ChatCompletionChunk)이 와야 하는데 {got} 값이 왔습니다. "
        "create(…, stream=True)가 돌려준 값을 그대로 넣으세요."
    ),
    # pictures
    "figure_label": "이름",
    "figure_value": "크기",
    "figure_number": "번호",
    "figure_none": "없음",
    "figure_seconds": "{n}초",
    "figure_count": "{n}개",
    "figure_nth": "{n}번째",
    "figure_timeline": "답 {n}개의 조각이 도착한 때입니다.",
    "figure_first": "첫 조각",
    "figure_end": "끝",
    "figure_pieces": "조각",
    "figure_waiting": "기다림",
    "figure_tries": "모두 {n}번 시도했고 {total}가 걸렸습니다.",
    "figure_try": "시도",
    "figure_took": "걸린 시간",
    "figure_outcome": "결과",
    "figure_wait": "다음까지 기다림",
    "figure_success": "✓ 성공 {outcome}",
    "figure_failure": "✗ 실패 {outcome}",
    "figure_tokens": "토큰은 모두 {n}개입니다.",
    "figure_token": "토큰",
    "figure_bytes": "바이트",
    "figure_more": "그 밖에 {n}개",
    "figure_space": "빈칸",
    "figure_newline": "줄바꿈",
    "figure_tab": "탭",
    "figure_partial": "점선 상자: 글자의 일부이거나 보이지 않는 글자라서 바이트(16진수)로 적은 토큰",
    "figure_bars": "{bars}입니다.",
    "figure_line": "{label}: 첫째는 {first}, 마지막({n}번째)은 {last}, 가장 클 때는 {most}입니다.",
    "figure_window": "한도는 {limit}토큰이고 지금 {total}토큰입니다.",
    "figure_part": "부분",
    "figure_share": "한도 대비",
    "figure_limit": "한도 {limit}",
    "figure_free": "남은 자리",
    "figure_over": "한도를 넘은 양",
    "figure_empty": "{where}: 그릴 내용이 하나도 없습니다. 하나 이상 넣고 다시 실행하세요.",
    "figure_too_many": "{where}: 한 그림에 {most}개까지 그릴 수 있는데 {n}개가 왔습니다. 나누어 그리세요.",
    "figure_not_mapping": "{where}: 이름과 숫자를 짝지은 dict가 와야 합니다. 들어온 것: {got}. dict로 바꿔 넣으세요.",
    "figure_bad_number": (
        "{where}: 0 이상 1,000조 이하의 숫자가 와야 합니다. 들어온 것: {got}. 고치고 다시 실행하세요."
    ),
    "figure_not_whole": "{where}: {least} 이상의 정수가 와야 합니다. 들어온 것: {got}. 고치고 다시 실행하세요.",
    "figure_falling": (
        "{where}: 도착한 때는 요청부터 잰 초라서 뒤로 갈수록 작아질 수 없습니다. "
        "조각 사이의 간격을 넣었다면 itertools.accumulate로 더해서 넣으세요."
    ),
    "figure_bad_step": (
        "{where}: (시도 번호, 걸린 초, 결과, 다음까지 기다린 초 또는 None)이 와야 합니다. "
        "들어온 것: {got}. 고치고 다시 실행하세요."
    ),
    "figure_bad_piece": (
        "{where}: 토큰은 비어 있지 않은 bytes여야 합니다. 들어온 것: {got}. "
        "tiktoken의 decode_tokens_bytes()가 돌려준 것을 그대로 넣으세요."
    ),
    # scripted trouble
    "no_session": "chatkit.start()와 chatkit.stop() 사이에서만 쓸 수 있습니다. chatkit.start(…)를 먼저 실행하세요.",
    "faults_unknown": (
        "모르는 오류입니다. 들어온 이름: {got!r}. 쓸 수 있는 이름: {known}. "
        "그 밖의 HTTP 상태는 400 이상의 번호로 적으세요."
    ),
    "faults_empty": "만들 오류가 하나도 없습니다. 하나 이상 적으세요. 쓸 수 있는 이름: {known}.",
    "faults_no_stream": (
        "'{name}' 오류는 스트리밍 요청에만 만들 수 있는데, stream=True가 없는 요청이 왔습니다. "
        "create(…, stream=True)로 보내거나 다른 오류를 고르세요."
    ),
    "faults_then_fine": "만든 오류: {script} → 정상",
    "faults_always": "만든 오류: {script} (계속)",
    "faults_first": "처음 {n}번, {title}",
    "faults_unused": "{title}. 아직 보낸 요청이 없습니다. with 안에서 요청을 보낸 뒤에 보세요.",
    # tokens and cost
    "tokens_no_text": "토큰을 셀 글(str)이 와야 합니다. 들어온 값의 타입: {got}. 글을 따옴표로 감싸 넣으세요.",
    "tokens_no_message": (
        "메시지는 role과 content가 있는 dict여야 합니다. 들어온 값의 타입: {got}. "
        "요청의 messages처럼 메시지의 리스트를 넣으세요."
    ),
    "tokens_negative": "{name}에는 0 이상의 정수가 와야 합니다. 들어온 값: {got!r}. 값을 고치고 다시 실행하세요.",
    "cost_no_usage": (
        "사용량(usage)이 있는 응답이 와야 하는데 {got} 값에는 없습니다. create(…)가 돌려준 응답을 그대로 넣으세요. "
        "스트리밍이면 stream_options의 include_usage를 True로 해서 보내고 마지막 조각을 넣으세요."
    ),
    "cost_bad_usage": (
        "사용량(usage)의 숫자가 맞지 않아 요금을 계산하지 못했습니다({reason}). "
        "create(…)가 돌려준 응답을 고치지 말고 그대로 넣으세요."
    ),
    "cost_unknown_model": (
        "{date} 기준 가격표에 없는 모델입니다: {model!r}. 비슷한 모델: {near}. 철자를 확인하세요. "
        "새 모델이면 platform.openai.com의 가격표를 보고 직접 계산하고, 내 컴퓨터의 모델이면 API 요금이 없습니다."
    ),
    "won_bad_rate": (
        "환율은 0보다 큰 Decimal이나 정수여야 합니다. 들어온 값: {got!r}. 예: tokens.won(cost, Decimal('1400.5'))"
    ),
    "won_bad_usd": (
        "달러 금액은 0 이상의 Decimal이나 정수여야 합니다. 들어온 값: {got!r}. "
        "tokens.cost(completion)가 돌려준 값을 그대로 넣으세요."
    ),
    # the chat window
    "chat_question": "질문",
    "chat_placeholder": "질문을 적고 Enter를 누르세요",
    "chat_send": "보내기",
    "chat_send_tip": "적은 질문을 보냅니다. 입력칸에서 Enter를 눌러도 됩니다.",
    "chat_stop": "멈춤",
    "chat_stop_tip": "오고 있는 답을 멈춥니다.",
    "chat_ready": "준비되었습니다.",
    "chat_receiving": "답을 받는 중입니다.",
    "chat_busy": "앞의 답을 아직 받는 중입니다. 답이 끝난 뒤에 보내거나, 먼저 '멈춤'을 누르세요.",
    "chat_saved": "[대화창] 이 셀을 실행하면 질문을 적는 칸이 나타납니다.",
    "chat_empty": "아직 나눈 대화가 없습니다.",
    "chat_you": "나",
    "chat_bot": "챗봇",
    "chat_tool": "도구 호출(tool_calls):",
    "chat_arguments": "인자(arguments)",
    "chat_result": "결과",
    "chat_waiting": "결과를 기다리는 중입니다.",
    "chat_more": " … 그 밖에 {n}자",
    "chat_cost": "지금까지 요청 {requests}번 · 입력 {sent} · 출력 {received} 토큰 · USD {usd} (가격표 기준)",
    "chat_cost_unknown": " · 요금을 알 수 없는 요청 {n}번",
    "chat_stopped": (
        "여기서 멈췄습니다. 사용량(usage)은 답의 맨 끝에 오기 때문에 이 답의 사용량과 요금은 알 수 없습니다."
    ),
    "chat_failed": "오류({name})가 나서 답을 끝까지 받지 못했습니다. 이유와 할 일은 대화에 적혀 있습니다.",
    "chat_no_stream": (
        "ChatWindow에 넣은 함수는 답의 조각을 하나씩 내보내야(yield) 합니다. 돌려준 값의 타입: {got}. "
        "async def와 yield로 쓰거나, AsyncOpenAI의 create(…, stream=True)가 돌려준 스트림을 return 하세요."
    ),
    "chat_key": (
        "API 키가 맞지 않습니다(401). .env의 OPENAI_API_KEY를 고치고 커널을 다시 시작하세요. "
        "python start.py doctor가 키를 확인해 줍니다."
    ),
    "chat_forbidden": (
        "이 키로는 할 수 없는 요청입니다(403). 프로젝트에서 쓸 수 있는 모델인지, 지원되는 나라인지 확인하세요. "
        "서버의 설명: {message}"
    ),
    "chat_not_found": (
        "요청한 모델이나 주소를 찾지 못했습니다(404). OPENAI_MODEL의 철자와 종료일, OPENAI_BASE_URL을 확인하세요. "
        "서버의 설명: {message}"
    ),
    "chat_rate": "짧은 시간에 너무 많이 요청했습니다(429). 잠시 기다렸다가 다시 보내세요.",
    "chat_credit": (
        "API 크레딧이 없거나 지출 한도에 닿았습니다(429). 기다려도 풀리지 않습니다. "
        "platform.openai.com의 Billing에서 크레딧과 한도를 확인하세요."
    ),
    "chat_server": "서버에 문제가 있거나 서버가 바쁩니다(5xx). 잠시 뒤에 다시 보내세요.",
    "chat_refused": (
        "서버가 요청을 거절했습니다. 그대로 다시 보내면 또 거절됩니다. "
        "서버의 설명을 읽고 챗봇의 코드를 고치세요: {message}"
    ),
    "chat_too_long": (
        "대화가 모델이 읽을 수 있는 길이를 넘었습니다(400). 오래된 메시지를 줄이거나 새 대화를 시작하세요."
    ),
    "chat_timeout": (
        "정한 시간 안에 답이 오지 않았습니다(timeout). 잠시 뒤에 다시 보내세요. "
        "자주 그렇다면 인터넷 연결을 확인하거나 클라이언트의 timeout을 늘리세요."
    ),
    "chat_connection": (
        "서버에 연결하지 못했거나 연결이 끊겼습니다. 인터넷 연결과 OPENAI_BASE_URL을 확인하고 다시 보내세요."
    ),
    "chat_error_event": (
        "서버가 답을 보내는 도중에 오류를 알렸습니다. 잠시 뒤에 다시 보내세요. 서버의 설명: {message}"
    ),
    "chat_other": (
        "{name}: {message}\n"
        "어느 줄에서 난 오류인지 보려면, 새 셀에서 대화창의 error를 일으키세요. 예: raise window.error"
    ),
    # exercises, questions, progress
    "exercise_no_notebook": "chatkit.exercise()는 노트북의 셀에서 씁니다. JupyterLab에서 강의를 열고 실행하세요.",
    "exercise_twice": "한 셀에는 연습을 하나만 둡니다. 이 셀에는 이미 {name!r} 연습이 있습니다. 다른 셀로 옮기세요.",
    "exercise_unknown": (
        "{lesson}에 없는 연습입니다. 들어온 이름: {got!r}. 있는 연습: {known}. "
        "이름을 고치거나, chatkit.start()에 그 연습이 있는 강의를 적으세요."
    ),
    "exercise_broken": "연습 파일 {file}을 읽지 못했습니다({reason}). 강의를 새로 내려받으면 되돌아옵니다.",
    "exercise_unmet": (
        "아직 연습의 조건을 모두 채우지 못한 요청이라 여기서 멈췄습니다. "
        "아래 카드의 ✗와 힌트를 보고 고친 다음, 셀을 다시 실행하세요."
    ),
    "exercise_core": "연습(핵심): {title}",
    "exercise_stretch": "연습(도전): {title}",
    "exercise_task": "할 일 다시 보기",
    "exercise_untouched": "아직 요청을 보내지 않았습니다. 아래의 조건을 채우는 코드를 이 셀에 써 보세요.",
    "exercise_no_function": "아직 함수를 만들지 않았습니다. 아래의 조건을 채우는 코드를 이 셀에 써 보세요.",
    "exercise_done_before": "({day}에 푼 연습입니다. 다시 풀어도 됩니다.)",
    "exercise_no_request": "코드는 실행되었지만 요청을 보내지 않았습니다.",
    "exercise_stopped": "요청을 보내기 전에 코드가 멈췄습니다.",
    "exercise_value": "지금 셀의 결과: {value} (타입: {kind})",
    "exercise_no_value": "지금 셀에는 결과가 없습니다. 마지막 줄이 값으로 끝나지 않았거나 print입니다.",
    "exercise_none": "조건 {n}가지가 남았습니다. 힌트를 보고 고쳐 보세요.",
    "exercise_half": "{n}가지 가운데 {met}가지를 채웠습니다. 채운 것은 그대로 두고, 힌트부터 하나씩 고쳐 보세요.",
    "exercise_met_but_error": "조건은 모두 채웠지만 코드가 오류로 멈췄습니다.",
    "exercise_met_but_refused": "조건은 채웠지만, 실제 API라면 거절할 요청입니다.",
    "exercise_passed": "모두 채웠습니다. 잘하셨습니다!",
    "exercise_met": "채움",
    "exercise_missed": "아직",
    "exercise_waiting": "남음",
    "exercise_hint": "**힌트 {level}/{n}** {hint}",
    "exercise_reply": "온 답(어떤 말로 물어도 나오는 예시 답입니다):",
    "exercise_accepted": "실제 API가 거절하지 않는 요청",
    "exercise_model": (
        "`model`에 강의가 모르는 이름이 왔습니다: {got!r}. 첫 셀에서 정한 `MODEL`을 `model=MODEL`로 넘기세요."
    ),
    "exercise_parameter": (
        '이 모델이 400 오류로 거절하는 매개변수입니다: `{name}`. `reasoning_effort`를 `"none"`으로 적었는지 보고, '
        "적었는데도 그렇다면 그 매개변수를 빼세요."
    ),
    "exercise_no_messages": "`messages`에 메시지가 하나도 없습니다. `role`과 `content`가 있는 dict를 목록에 담으세요.",
    "exercise_strange_messages": (
        "`messages`는 메시지(dict)의 목록이어야 하는데, 메시지가 아닌 {got} 값이 들어 있습니다. "
        "글을 `role`과 `content`가 있는 메시지에 담고, 메시지를 목록에 담으세요."
    ),
    "exercise_role": (
        "메시지의 `role`이 없거나 모르는 이름입니다. 쓸 수 있는 이름은 system, developer, user, assistant, tool입니다."
    ),
    "exercise_content": "`content`가 빠졌거나 글이 아닌 메시지가 있습니다. `content`에는 글(str)을 적으세요.",
    "exercise_temperature": "`temperature`에는 0에서 2 사이의 숫자를 적으세요.",
    "exercise_malformed": (
        "매개변수 가운데 API가 받지 않는 종류의 값이 있습니다. "
        "강의의 코드와 견주어 값의 모양(글, 숫자, dict, 목록)을 보세요."
    ),
    "exercise_pure": "함수를 확인하는 동안에는 요청을 보내지 않습니다. 요청은 함수 밖의 줄에서 보내세요.",
    "exercise_unpaired": (
        "도구의 부탁과 결과가 짝이 맞지 않습니다(id: {id}). 부탁이 든 assistant 메시지 다음에, "
        "`tool_call_id`가 같은 `tool` 메시지를 부탁마다 하나씩 두세요."
    ),
    "exercise_says_json": (
        "JSON 모드에서는 메시지 어딘가에 영어로 `json`이라는 낱말이 있어야 합니다. 없으면 400 오류가 납니다."
    ),
    "exercise_call_failed": "확인한 호출: {call}\n\n예외가 났습니다: {error}",
    "exercise_call_differs": "확인한 호출: {call}\n\n기대한 값: {expected}\n\n돌려준 값: {got}",
    "exercise_call_greedy": "확인한 호출: {call}\n\n멈춰야 할 곳을 지나 {n}개를 더 가져갔습니다.",
    "exercise_keyword": (
        "SDK가 모르는 이름의 매개변수라서 요청을 보내기 전에 멈췄습니다({message}). "
        "이름의 철자를 강의의 코드와 견주어 보세요."
    ),
    "exercise_error": "코드가 오류로 멈췄습니다: {name}: {message}",
    "exercise_name": (
        "아직 없는 이름을 썼습니다(NameError): `{name}`. 철자를 보고, 강의의 앞 셀들을 위에서부터 실행했는지 보세요."
    ),
    "exercise_line": "멈춘 줄({number}번째 줄): {line}",
    "quiz_unknown": "{lesson}에 없는 확인 문제입니다. 들어온 이름: {got!r}. 있는 문제: {known}.",
    "quiz_answer": "정답과 이유",
    "quiz_right": "맞습니다.",
    "quiz_wrong": "아닙니다.",
    "quiz_check": "확인",
    "quiz_check_tip": "고른 답이 맞는지, 왜 그런지 봅니다.",
    "quiz_nothing": "먼저 하나를 고른 다음 확인을 누르세요.",
    "quiz_done_before": "✓ {day}에 맞힌 문제입니다. 다시 풀어도 됩니다.",
    "progress_lesson": "강의",
    "progress_exercises": "연습",
    "progress_questions": "확인 문제",
    "progress_total": (
        "모두 {n}개 가운데 {done}개를 마쳤습니다(✓ 마침, ○ 남음). 이 기록은 이 컴퓨터에만 있고, "
        "지워도 강의에는 지장이 없습니다."
    ),
    "progress_broken": (
        "진도 파일 {file}을 읽을 수 없어서 새로 시작합니다. 읽지 못한 파일은 {kept}로 이름을 바꿔 두었습니다."
    ),
    "progress_not_read": "진도 파일 {file}을 열지 못했습니다({reason}). 파일의 읽기 권한을 확인하세요.",
    "progress_not_saved": (
        "진도 파일 {file}을 저장하지 못했습니다({reason}). 강의는 그대로 이어집니다. "
        "디스크 공간과 쓰기 권한을 확인하세요."
    ),
}


def say(name: str, /, **values: object) -> str:
    """Return the learner's sentence called `name` with its values filled in."""
    return KO[name].format(**values)
