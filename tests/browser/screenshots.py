"""Regenerates the README's screenshots: python screenshots.py DIR."""

import pathlib
import sys

from support import Server, browser, resize, story

to = pathlib.Path(sys.argv[1])
to.mkdir(parents=True, exist_ok=True)
server = Server()
latest = story(server)
driver = browser()
for name, path in [("project", "/pony"), ("build", latest)]:
    resize(driver, 1100, 820)
    driver.get(server.url + path)
    driver.save_screenshot(str(to / f"{name}.png"))
driver.quit()
server.close()
