"""Takes a picture of every page of a believable store, and checks what every page keeps to.

screenshots.py DIR [--builds N] [--cases N] [--readme DIR]
"""

import argparse
import json
import pathlib
import sys
import urllib.request

from selenium.webdriver.common.by import By

import believable
from support import Server, browser, errors, resize

# The limits of docs/design.md, in bytes.
PAGE, STYLE = 200 << 10, 30 << 10
# The width, and whether it is dark.
VIEWS = [(1280, False), (390, False), (1280, True)]

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("to", type=pathlib.Path)
arguments.add_argument("--builds", type=int, default=60)
arguments.add_argument("--cases", type=int, default=1_000)
arguments.add_argument("--readme", type=pathlib.Path)
asked = arguments.parse_args()
asked.to.mkdir(parents=True, exist_ok=True)
server = Server("--admin", "root")
believable.fill(server.url, asked.builds, asked.cases)
server.administrator("root")


def read(path):
    with urllib.request.urlopen(urllib.request.Request(server.url + path, headers={"Accept": "application/json"})) as answer:
        return json.load(answer)


def link(document, rel):
    return next(of["href"] for of in document["links"] if of["rel"] == rel).removeprefix(server.url)


def paths():
    """The pages by name: of the newest build of the mainline that has failures, of the largest build, and others."""
    listed = read("/payments-api/builds?branch=main&state=failure&per_page=100")["builds"]
    red = next(of for of in listed if any(test["failure"] and "Connection" in test["failure"]["message"]
                                          for test in read(link(of, "self") + "/tests?status=failed")["tests"]))
    build = link(red, "self")
    failed = next(of for of in read(build + "/tests?status=failed")["tests"] if "Connection" in of["failure"]["message"])
    case = f"{build}/tests/{failed['position']}"
    previous = listed[listed.index(red) + 1]["id"]
    track, extreme = link(red, "track"), "/" + "extremes-" * 11
    huge = link(read(f"{extreme}/builds")["builds"][0], "self")
    return {
        "projects": "/", "projects-grouped": "/?group=prefix", "project": "/payments-api", "project-empty": "/brand-new",
        "project-other-branch": "/payments-api?branch=feature%2Fledger-v2", "builds": "/payments-api/builds",
        "builds-none": "/payments-api/builds?host=nowhere", "build": build, "build-running": link(read("/infrastructure/builds")["builds"][0], "self"),
        "tests": build + "/tests", "tests-all": build + "/tests?status=passed,failed,error,flaky,skipped",
        "tests-slowest": build + "/tests?sort=duration", "result": case, "history": link(read(case), "history"),
        "signature": link(read(case), "signature"), "insight": build + "/insight", "commit": link(red, "revision"),
        "comparison": f"/payments-api/builds/{previous}...{red['id']}", "receipt": build + "/receipt",
        "log": build + "/steps/1/output", "search-logs": build + "/search?text=chunk", "tracks": "/payments-api/tracks",
        "track": track, "track-tests": track + "/tests", "track-grid": track + "/grid", "issues": "/payments-api/issues",
        "issue": "/payments-api/issues/" + read("/payments-api/issues")["issues"][0]["id"], "tags": "/payments-api/tags",
        "tagged": "/payments-api/tags/linux", "users": "/users", "user": "/users/mira", "components": "/api/v1/components",
        "groups": "/?group=tag", "search": "/search?q=ledger", "search-none": "/search?q=nothing-has-this", "sign-in": "/api/v1/session", "docs": "/docs",
        "error": "/nowhere", "extreme-project": extreme, "extreme-builds": extreme + "/builds", "extreme-build": huge,
        "extreme-tests": huge + "/tests", "extreme-tags": extreme + "/tags", "extreme-tracks": extreme + "/tracks",
    }


def whole(driver, width, file):
    """A picture of the whole page."""
    resize(driver, width, 900)
    height = driver.execute_script("return document.documentElement.scrollHeight")
    resize(driver, width, min(max(height, 600), 4000))
    driver.save_screenshot(str(file))


pages, broken = paths(), []
style = None
for width, dark in VIEWS:
    driver = browser(dark=dark)
    for name, path in pages.items():
        driver.get(server.url + path)
        whole(driver, width, asked.to / f"{name}-{width}{'-dark' if dark else ''}.png")
        if (width, dark) != VIEWS[0]:
            continue
        style = style or driver.execute_script("return document.styleSheets[0].href")
        with urllib.request.urlopen(urllib.request.Request(server.url + path, headers={"Accept": "text/html"})) if name != "error" else open("/dev/null", "rb") as answer:
            size = len(answer.read())
        resize(driver, 360)
        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        if size > PAGE and name != "docs":
            broken.append(f"{name}: {size} bytes of HTML")
        if wide > 0:
            broken.append(f"{name}: {wide} px too wide at 360 px")
        said = errors(driver)
        if name != "error" and said:
            broken.append(f"{name}: {said}")
    if (width, dark) == VIEWS[0]:
        for user, there in [("ci-bot", {"projects-of-mine": "/", "settings": "/payments-api", "issue-form": "/payments-api/issues", "password": "/users/ci-bot"}),
                            ("root", {"administration": "/admin"})]:
            driver.delete_all_cookies()
            driver.get(server.url + "/api/v1/session")
            driver.find_element(By.ID, "username").send_keys(user)
            driver.find_element(By.ID, "password").send_keys(f"{user}-pw")
            driver.find_element(By.CSS_SELECTOR, "main form button").click()
            for name, path in there.items():
                driver.get(server.url + path)
                driver.execute_script("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
                whole(driver, width, asked.to / f"{name}-{width}.png")
        driver.get(server.url + "/payments-api")
        driver.delete_all_cookies()
    if asked.readme and (width, dark) == VIEWS[0]:
        for name in ["project", "build"]:
            resize(driver, 1180, 860)
            driver.get(server.url + pages[name])
            driver.save_screenshot(str(asked.readme / f"{name}.png"))
    driver.quit()
with urllib.request.urlopen(style) as answer:
    if len(answer.read()) > STYLE:
        broken.append("the stylesheet is too large")
server.close()
print(f"{len(pages)} pages, {len(list(asked.to.glob('*.png')))} pictures in {asked.to}")
sys.exit("\n".join(broken) if broken else 0)
