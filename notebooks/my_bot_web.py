"""The bot of my_bot.py on a web page of this machine: `python my_bot_web.py`.

It needs what my_bot.py needs and `python -m pip install nicegui`, with which everything comes that the page loads.
`PORT` in `.env` moves it from port 8080.
"""

import asyncio
import os

import my_bot
from nicegui import ui

# The text goes along with the submission, so that it is what stands in the box. It stays there, selected, until it is
# answered: the next question replaces it, and one that fails is still there.
SUBMIT = """event => {
    emit(new FormData(event.target).get("question"));
    event.target.querySelector("input").select();
}"""


class Page:
    """One visitor's conversation and what the page shows of it."""

    def __init__(self):
        self.bot, self.task = my_bot.new_bot(), None
        ui.context.client.on_disconnect(self.stop)  # a page that is closed asks no more
        self.talk = ui.column().classes("w-full")
        # A form: the browser knows the Enter that ends a Hangul syllable from the one that sends.
        with ui.element("form").classes("w-full row items-center no-wrap gap-4") as form:
            self.box = ui.input("질문").classes("grow").props("name=question autofocus autocomplete=off")
            self.send = ui.button("보내기").props("type=submit")
            self.halt = ui.button("멈춤", on_click=self.stop).props("outline")
            self.halt.disable()
        form.on("submit.prevent", lambda event: self.answer(event.args.strip()), js_handler=SUBMIT)
        self.state = ui.label("준비됐습니다.")
        ui.label("Weather data by Open-Meteo.com (CC BY 4.0) · 자료: 기상청, 기후평년값(1991-2020)").classes(
            "text-caption"
        )

    async def answer(self, text):
        if not text or self.task:
            return
        self.task = asyncio.current_task()
        self.busy(True)
        with self.talk:
            ui.chat_message(text, name="나", sent=True).classes("self-end")
            shown = ui.column().classes("w-full")
        try:
            await self.show(text, shown)
            self.state.text = my_bot.bill(self.bot)
            if self.box.value.strip() == text:
                self.box.value = ""
        except asyncio.CancelledError:
            self.state.text = "멈췄습니다. 이 문답은 기억하지 않고, 멈춘 답의 요금은 여기에 없습니다."
        except Exception as error:  # whatever a server sends: the page must not stay as if it were waiting
            self.state.text = my_bot.explain(error)
        finally:
            self.task = None
            self.busy(False)

    async def show(self, text, shown):
        label = None
        async for item in self.bot.ask(text):
            if isinstance(item, dict):
                with shown, ui.expansion("도구의 결과").classes("w-full"):
                    plain(item["content"])
                label = None
            elif piece := my_bot.shown(item):
                if label is None:
                    with shown:
                        label = plain("")
                label.text += piece

    def stop(self):
        if self.task:
            self.task.cancel()

    def busy(self, now):
        self.state.text = "답을 받고 있습니다." if now else self.state.text
        self.send.set_enabled(not now)
        self.halt.set_enabled(now)


def plain(text):
    """Show a text that somebody else wrote: as text, never as HTML or Markdown."""
    return ui.label(text).style("white-space: pre-wrap; overflow-wrap: anywhere")


@ui.page("/")
def page():
    try:
        Page()
    except my_bot.BotError as error:
        plain(str(error))


if __name__ == "__main__":
    try:
        my_bot.load_dotenv()
    except UnicodeError as error:
        raise SystemExit(my_bot.explain(error)) from None
    port = int(os.environ.get("PORT", "8080"))
    # Only this machine: whoever reaches the page spends your credit.
    # A tool that waits for its service holds up the whole page; the browser must not give it up meanwhile.
    patient = {"reconnect_timeout": 60.0}
    ui.run(host="127.0.0.1", port=port, title="나의 챗봇", language="ko-KR", show=False, reload=False, **patient)
