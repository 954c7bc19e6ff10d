"""A real server with sample data, and a browser to view it with."""

import base64
import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = pathlib.Path(__file__).resolve().parents[2]
AXE = pathlib.Path(os.environ.get("AXE", "axe.min.js"))


class Server:
    """A devmason-server with its own port and store."""

    def __init__(self, *arguments):
        self.dir = tempfile.TemporaryDirectory()
        self.program = os.environ.get("DEVMASON_SERVER", ROOT / "target/debug/devmason-server")
        self.store = f"sqlite:{self.dir.name}/store.db"
        self.process = subprocess.Popen(
            [self.program, "--listen", "127.0.0.1:0", "--database-url", self.store, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=self.dir.name,
        )
        for line in self.process.stdout:
            if " is ready at " in line:
                self.url = line.split(" is ready at ")[1].strip().rstrip("/")
                return
        raise RuntimeError("the server did not start")

    def send(self, method, path, document=None, user="ann", **more):
        """Sends a document as a user with the password NAME-pw; returns Location and response."""
        headers = {"Content-Type": "application/json", **more}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{user}-pw".encode()).decode()
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.headers.get("Location"), json.loads(text) if text else None

    def administrator(self, name):
        """Creates a user with the password NAME-pw, as an administrator does."""
        command = [self.program, "passwd", name, "--database-url", self.store]
        subprocess.run(command, input=f"{name}-pw\n", text=True, check=True, stdout=subprocess.DEVNULL, cwd=self.dir.name)

    def log(self, step, offset, *entries):
        """Appends to the log of a step; returns its end."""
        self.send("POST", step + "/log", list(entries), **{"Upload-Offset": str(offset)})
        return offset + sum(len(text.encode()) for _, _, text in entries)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.dir.cleanup()


def browser(width=1280, height=900, dark=False, script=True):
    """A headless Chromium that connects only to the server."""
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    profile = tempfile.mkdtemp(prefix="devmason-browser-")
    for argument in [
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", f"window-size={width},{height}",
        f"user-data-dir={profile}",
    ]:
        options.add_argument(f"--{argument}")
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")))
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return driver


def resize(driver, width, height=900):
    """Resizes below 500 pixels, the minimum window width of headless Chromium."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def violations(driver):
    """The axe-core violations of WCAG 2.2 A and AA."""
    script = AXE.read_text() + """
        ;const done = arguments[0];
        axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((result) => done(
            result.violations.map((it) => `${it.id} (${it.nodes.length}): ${it.nodes[0].html.slice(0, 200)}: ${it.nodes[0].failureSummary}`)));
    """
    driver.set_script_timeout(120)
    return driver.execute_async_script(script)


def errors(driver):
    """The errors in the browser's console."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def story(server, builds=40):
    """A project with a realistic history of builds: always the same, except for the times."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    server.send("PUT", "/pony", {"name": "Pony"})
    server.send("PUT", "/zebra", {"name": "Zebra"})
    last = None
    for nth in range(builds):
        start = now - datetime.timedelta(hours=2 * (builds - nth))
        steps, at = [], start
        for position, name in enumerate(["checkout", "compile", "unit tests", "lint"]):
            seconds = 4 + (nth * 37 + position * 53) % 90 + (60 if position == 1 else 0)
            tests = []
            if name == "unit tests":
                for case in range(14):
                    failed = (case == 3 and nth >= builds - 4) or (case == 8 and nth % 11 == 5)
                    tests.append({
                        "suite": "pony::walk", "name": f"keeps its balance on {case + 1} legs", "duration": 0.02 * case,
                        "status": "failed" if failed else "flaky" if case == 5 and nth % 6 == 2 else "passed",
                        **({"failure": {"type": "AssertionError", "message": "left: 3 legs, right: 4 legs",
                                        "text": "left: 3 legs, right: 4 legs\n   at src/walk.rs:112"}} if failed else {}),
                    })
            success = not any(test["status"] == "failed" for test in tests) and not (name == "compile" and nth % 17 == 9)
            output = "".join(
                f"\x1b[1;32m{'Compiling':>12}\x1b[0m part {line} of {name}\n" for line in range(30 + nth % 7)
            )
            if not success:
                output += "\x1b[1;31merror\x1b[0m: a pony has four legs\n  \x1b[1;34m-->\x1b[0m src/walk.rs:112:9\n"
            end = at + datetime.timedelta(seconds=seconds)
            steps.append({"name": name, "success": success, "started": at.isoformat(), "finished": end.isoformat(),
                          "output": output, "exit_code": 0 if success else 101, "tests": tests})
            at = end
        last, _ = server.send("PUT", f"/pony/builds/{1000 + nth}", {
            "success": all(step["success"] for step in steps), "started": start.isoformat(), "finished": at.isoformat(),
            "tags": ["main" if nth % 3 else "release-2.1", "linux"],
            "client": {"host": f"builder-{nth % 3 + 1}", "arch": "linux-x86_64", "branch": "main", "commit": f"{nth * 7919 % 16**7:07x}",
                       "job_url": f"https://ci.example.org/pony/{1000 + nth}"},
            "results": steps,
        })
    server.send("POST", "/pony/issues", {
        "title": "A pony has four legs", "url": "https://tracker.example.org/12", "note": "Walking needs all of them.",
        "match": {"test": "pony::walk::*", "message": "left: * legs*"}, "mute": True,
    })
    server.send("POST", "/api/v1/componenttypes", {"name": "kernel"})
    server.send("POST", "/api/v1/components", {"name": "6.12", "componenttype": "kernel", "title": "Linux 6.12"})
    of = {"components": [{"type": "kernel", "name": "6.12"}]}
    server.send("POST", "/zebra/builds", {"success": True, "tags": ["main"], **of})
    return last
