"""Pages in a real browser: at three widths, with and without script, light and dark, live, and with hostile content."""

import time
import unittest

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from support import Server, browser, errors, resize, story, violations

EVIL = "<img src=x onerror=hacked=1><script>hacked=1</script>\"'&"


def is_gone(element):
    """Whether an element's page was left. During navigation the driver raises other errors, too."""
    try:
        element.is_enabled()
    except WebDriverException:
        return True
    return False


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.latest = story(cls.server)
        cls.driver = cls.make()

    @classmethod
    def make(cls):
        return browser()

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        cls.server.close()

    def open(self, path):
        self.driver.get(self.server.url + path)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self):
        return self.one("main").text

    def wait(self, what, seconds=15):
        """Until it is so. A page that is left meanwhile makes the driver raise errors, as in `is_gone`."""
        return WebDriverWait(self.driver, seconds, ignored_exceptions=[WebDriverException]).until(lambda _: what())

    def follow(self, selector):
        """Clicks a link or button, and waits for the next page."""
        before = self.one("html")
        self.one(selector).click()
        self.wait(lambda: is_gone(before))
        self.wait(lambda: self.all("footer"))

    def sign_in(self, password="ann-pw"):
        self.open("/pony")
        self.follow(".who a")
        self.one("#username").send_keys("ann")
        self.one("#password").send_keys(password)
        self.follow("main form button")


class Everywhere(Case):
    def paths(self):
        return [
            "/", "/?order=red", "/?group=prefix&sort=-last", "/?group=tag", "/pony", "/pony?grid=age", "/search", "/search?q=legs", "/search?q=1039",
            self.latest + "/tests?sort=duration", self.latest + "/tests/4", "/pony/builds/1037...1039", "/pony/builds", "/pony/builds?state=failure&page=1", self.latest, self.latest + "/tests",
            self.latest + "/tests?status=failed,error", self.latest + "/receipt", self.latest + "/steps/2/output",
            self.latest + "/steps/2/log", self.latest + "/search?text=legs", self.latest + "/search",
            "/pony/tests/pony%3A%3Awalk%3A%3Akeeps%20its%20balance%20on%204%20legs", "/pony/tags", "/pony/tags/main",
            "/zebra", "/users", "/users/ann", "/users/ann/builds", "/api/v1/session", "/api/v1/components",
            *self.explained(),
        ]

    def explained(self):
        """The pages that explain builds: insight, commit, tracks and known issues."""
        def read(path):
            return self.server.send("GET", path)[1]

        def link(document, rel):
            href = next(link["href"] for link in document["links"] if link["rel"] == rel)
            return href.removeprefix(self.server.url)

        build = read("/pony/builds/1039")
        insight, commit, track = (link(build, rel) for rel in ["insight", "revision", "track"])
        signature = link(read(insight)["failures"][0], "signature")
        test = "/pony/tests/pony%3A%3Awalk%3A%3Akeeps%20its%20balance%20on%204%20legs"
        issue = read("/pony/issues")["issues"][0]["id"]
        return [
            insight, insight + "?gate=new:0,flaky:0&class=failing", commit, commit + "?gate=variants:0", "/pony/tracks",
            "/pony/tracks?branch=none", track, track + "/tests", track + "/tests?only=flaky", track + "/grid",
            track + "/grid?only=all&builds=100", test + "?track=" + track.rsplit("/", 1)[1], "/pony/issues",
            "/pony/issues?state=closed", f"/pony/issues/{issue}", signature,
        ]

    def check(self, paths):
        for path in paths:
            for width in [360, 390, 768, 1280]:
                with self.subTest(path=path, width=width):
                    resize(self.driver, width)
                    self.open(path)
                    self.assertEqual(errors(self.driver), [])
                    self.assertEqual(violations(self.driver), [])
                    wide = self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
                    self.assertLessEqual(wide, 0)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_every_page_is_accessible_fits_and_complains_of_nothing_at_three_widths(self):
        self.check(self.paths())

    def test_so_are_the_forms_of_who_may_change_something(self):
        self.sign_in()
        self.check(self.explained())
        self.driver.delete_all_cookies()

    def test_nothing_but_one_stylesheet_keeps_a_page_from_being_painted(self):
        self.open(self.latest)
        script = "return performance.getEntriesByType('resource').filter((it) => it.renderBlockingStatus === 'blocking').map((it) => it.name)"
        blocking = self.driver.execute_script(script)
        self.assertEqual([name.rsplit(".", 1)[1] for name in blocking], ["css"])
        hosts = self.driver.execute_script("return performance.getEntriesByType('resource').map((it) => new URL(it.name).origin)")
        self.assertEqual(set(hosts), {self.server.url})

    def test_every_link_of_a_page_leads_somewhere(self):
        seen = set()
        for path in ["/", "/pony", "/pony/builds", self.latest, self.latest + "/tests", *self.explained()]:
            self.open(path)
            seen.update(link.get_attribute("href").split("#")[0] for link in self.all("a[href]"))
        own = sorted(href for href in seen if href.startswith(self.server.url))
        self.assertGreater(len(own), 60)
        script = "const done = arguments[1]; fetch(arguments[0], {headers: {Accept: 'text/html'}}).then((it) => done(it.status))"
        broken = [href for href in own if self.driver.execute_async_script(script, href) != 200]
        self.assertEqual(broken, [])


class Dark(Case):
    @classmethod
    def make(cls):
        return browser(dark=True)

    def test_pages_are_accessible_in_the_dark(self):
        for path in ["/", "/pony", "/pony/builds", self.latest, self.latest + "/tests", "/api/v1/session"]:
            with self.subTest(path=path):
                self.open(path)
                back = self.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
                self.assertEqual(back, "rgb(13, 17, 23)")
                self.assertEqual(violations(self.driver), [])


class Looking(Case):
    def test_a_build_shows_what_failed_first_and_open(self):
        self.open(self.latest)
        self.assertIn("Failed in unit tests", self.one(".verdict").text)
        opened = [step.find_element(By.CSS_SELECTOR, ".name").text for step in self.all(".step[open]")]
        self.assertEqual(opened, ["unit tests"])
        self.assertIn("a pony has four legs", self.one(".step[open] .out").text)
        self.assertIn("failure", self.one("link[rel=icon]").get_attribute("href"))
        self.assertIn("Gate passed", self.text())

    def test_a_line_is_linked_to_and_shown(self):
        self.open(self.latest + "#step-1-L7")
        line = self.one("#step-1-L7")
        self.wait(line.is_displayed)
        self.assertTrue(line.text.startswith("7"))
        self.assertNotEqual(line.value_of_css_property("background-color"), "rgba(0, 0, 0, 0)")

    def test_a_link_that_is_broken_breaks_nothing_else(self):
        self.open(self.latest + "#%")
        self.assertEqual(errors(self.driver), [])
        self.one("#find").send_keys("four legs")
        self.assertEqual(self.one("#found").text, "Matching lines: 1")

    def test_keys_may_be_turned_off(self):
        self.open(self.latest)
        self.one("body").send_keys("?")
        self.one("#keys-on").click()
        self.one("#keys-close").click()
        here = self.driver.current_url
        self.one("body").send_keys("h")
        self.assertEqual(self.driver.current_url, here)
        self.one("body").send_keys("?")
        self.one("#keys-on").click()
        self.one("#keys-close").click()
        self.one("body").send_keys("h")
        self.wait(lambda: self.driver.current_url == self.server.url + "/")

    def test_outputs_are_searched(self):
        self.open(self.latest)
        self.one("#find").send_keys("four legs")
        self.assertEqual(self.one("#found").text, "Matching lines: 1")
        self.one("#find").send_keys(Keys.ENTER)
        self.assertEqual(self.one("#found").text, "1 of 1")

    def test_a_cell_of_the_grid_leads_to_what_went_wrong(self):
        self.open("/pony")
        self.follow(".grid td.failure a")
        self.assertRegex(self.driver.current_url, r"/pony/builds/\d+/tests/\d+$")
        self.assertIn("left: 3 legs, right: 4 legs", self.text())
        self.assertIn("src/walk.rs:112", self.one("pre.text .own").text)
        self.assertEqual(len(self.all(".strip .here")), 1)
        self.follow(".strip a:not(.here)")
        self.assertEqual(len(self.all(".strip .here")), 1)

    def test_one_box_finds_anything(self):
        self.open("/pony")
        box = self.one(".top input[type=search]")
        box.send_keys("right: 4")
        before = self.one("html")
        box.send_keys(Keys.ENTER)
        self.wait(lambda: is_gone(before))
        self.wait(lambda: self.all("footer"))
        self.follow(".failures a")
        self.assertIn("right: 4 legs", self.text())

    def test_a_build_is_compared_with_the_one_before(self):
        self.open(self.latest)
        self.follow("a[href*='...']")
        self.assertIn("Comparison of two builds", self.text())
        self.follow("td a .state.failure")
        self.assertIn("History", self.text())

    def test_any_two_builds_are_chosen_in_their_list(self):
        for width in [1280, 390]:
            with self.subTest(width=width):
                resize(self.driver, width)
                self.open("/pony/builds?state=failure")
                for nth in [0, 2]:
                    self.all("input[name=compare]")[nth].click()
                self.follow("#compare button")
                self.assertRegex(self.driver.current_url, r"/pony/builds/\d+\.\.\.1039$")
                self.assertIn("Comparison of two builds", self.text())
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_the_grid_keeps_its_first_column(self):
        resize(self.driver, 390)
        self.open("/pony")
        script = "const at = arguments[0]; const frame = at.closest('.scroll'); frame.scrollLeft = 200; return at.getBoundingClientRect().left - frame.getBoundingClientRect().left"
        self.assertLess(abs(self.driver.execute_script(script, self.one(".grid tbody th"))), 4)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_a_list_that_is_watched_shows_new_builds(self):
        self.open("/zebra/builds")
        self.driver.execute_script("window.same = true")
        self.server.send("PUT", "/zebra/builds/fresh", {"success": True})
        self.wait(lambda: "fresh" in self.one("tbody").text, 45)
        self.assertTrue(self.driver.execute_script("return window.same"))

    def test_a_list_is_filtered_by_a_url(self):
        self.open("/pony/builds")
        self.one("#state").send_keys("failure")
        self.one("#host").send_keys("builder-2")
        self.follow("form[role=search] button")
        self.assertIn("state=failure", self.driver.current_url)
        self.assertIn("host=builder-2", self.driver.current_url)
        rows = self.all("tbody tr")
        self.assertTrue(rows)
        for row in rows:
            self.assertIn("failure", row.text)
            self.assertIn("builder-2", row.text)

    def test_a_list_is_paged_there_and_back(self):
        self.open("/pony/builds?per_page=15")
        first = self.one("tbody a").text
        for rel in ["next", "next", "prev", "prev"]:
            self.follow(f".pager a[rel={rel}]")
        self.assertEqual(self.one("tbody a").text, first)

    def test_projects_are_found_while_one_types(self):
        self.open("/")
        self.one("#q").send_keys("zeb")
        shown = [row.text for row in self.all("#projects tbody tr") if row.is_displayed()]
        self.assertEqual(len(shown), 1)
        self.assertIn("Zebra", shown[0])

    def test_times_are_told_from_now_and_exact_when_one_asks(self):
        self.open(self.latest)
        started = self.one(".verdict time")
        self.assertRegex(started.text, r"ago|yesterday|now")
        self.assertRegex(started.get_attribute("title"), r"\d\d:\d\d:\d\d")

    def test_the_builds_of_a_component_are_found(self):
        self.open("/api/v1/components")
        self.follow("#components td:last-child a")
        self.assertIn("Builds with 6.12", self.text())
        self.assertIn("Zebra", self.one("tbody").text)
        self.assertEqual(violations(self.driver), [])

    def test_keys_help(self):
        self.open(self.latest)
        body = self.one("body")
        body.send_keys("?")
        self.assertTrue(self.one("#keys").is_displayed())
        self.one("#keys-close").click()
        body.send_keys("/")
        self.assertEqual(self.driver.switch_to.active_element.get_attribute("id"), "find")
        self.driver.switch_to.active_element.send_keys("/x")
        self.assertEqual(self.one("#find").get_attribute("value"), "/x")
        self.open(self.latest)
        self.one("body").send_keys("u")
        self.wait(lambda: self.driver.current_url == self.server.url + "/pony")

    def test_a_huge_output_is_shown_from_its_end_and_loaded_in_pieces(self):
        line = "0123456789 " * 9 + "{}\n"
        output = "".join(line.format(nth) for nth in range(1, 200_001))
        self.assertGreater(len(output), 20 << 20)
        path, _ = self.server.send("POST", "/pony/builds", {
            "success": True, "results": [{"name": "long", "success": True, "output": output}]})
        self.open(path)
        self.one(".step summary").click()
        self.assertTrue(self.one("#step-0-L200000").is_displayed())
        self.assertEqual(self.all("#step-0-L1"), [])
        shown = len(self.all(".out .l"))
        # A double click loads only once.
        self.driver.execute_script("const link = document.querySelector('a[data-more]'); link.click(); link.click()")
        self.wait(lambda: len(self.all(".out .l")) > shown)
        first = int(self.all(".out .n")[0].text)
        self.assertLess(first, 200_000 - 5000)
        self.assertEqual(len(self.all(".out .l")), 200_000 - first + 1)


class Live(Case):
    def test_a_build_that_runs_fills_in_and_ends(self):
        progress, _ = self.server.send("POST", "/pony/builds", {"incremental": True})
        self.server.send("POST", progress, {"name": "first", "success": True, "output": "1\n"})
        self.open(progress.removesuffix("/progress"))
        self.assertEqual(len(self.all(".step")), 1)
        self.driver.execute_script("window.same = true")
        for name in ["second", EVIL]:
            self.server.send("POST", progress, {"name": name, "success": False, "output": EVIL})
        self.wait(lambda: len(self.all(".step")) == 3)
        self.assertTrue(self.driver.execute_script("return window.same"))
        self.assertIn(EVIL, self.text())
        self.assertEqual(violations(self.driver), [])
        self.server.send("DELETE", progress, {"success": False})
        self.wait(lambda: "Failed in second" in self.one(".verdict").text)
        self.assertIsNone(self.driver.execute_script("return window.hacked ?? null"))
        self.assertEqual(errors(self.driver), [])


class Logs(Case):
    def begin(self):
        progress, _ = self.server.send("POST", "/pony/builds", {"incremental": True})
        step, _ = self.server.send("POST", progress, {"name": "make", "state": "running"})
        return progress.removesuffix("/progress"), step

    def test_a_log_grows_on_the_page_of_its_build_and_on_its_own(self):
        build, step = self.begin()
        end = self.server.log(step, 0, [0, "out", "first\n"])
        for path in [build, step + "/log"]:
            with self.subTest(path=path):
                self.open(path)
                self.wait(lambda: "first" in self.one(".out.log").text)
                self.driver.execute_script("window.same = true")
                end = self.server.log(step, end, [1500, "err", f"\x1b[31mred\x1b[0m {EVIL}\npart"])
                self.wait(lambda: "part" in self.one(".out.log").text)
                end = self.server.log(step, end, [2500, "out", " of a line\n10%\r100%\n"])
                self.wait(lambda: "part of a line" in self.one(".out.log").text)
                self.wait(lambda: "100%" in self.one(".out.log").text)
                self.assertNotIn("10%\n", self.one(".out.log").text)
                self.assertIn(EVIL, self.one(".out.log").text)
                self.assertTrue(self.all(".out.log .l.e .f1"))
                self.assertEqual(violations(self.driver), [])
                self.assertTrue(self.driver.execute_script("return window.same"))
        numbers = [int(number.text.lstrip("! ")) for number in self.all(".out.log a.n")]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.server.send("PUT", step, {"success": False})
        self.wait(lambda: self.one("main .state").text == "failure")
        self.assertIsNone(self.driver.execute_script("return window.hacked ?? null"))
        self.assertEqual(errors(self.driver), [])

    def test_a_line_of_a_long_log_is_linked_to_wherever_it_is(self):
        build, step = self.begin()
        lines = [f"::group::part {nth}\nline {nth}\n::endgroup::\n" for nth in range(1, 5001)]
        self.server.log(step, 0, [0, "out", "".join(lines)], [1, "err", "error: the last one\n"])
        self.server.send("PUT", step, {"success": False})
        self.open(build + "#step-0-L6001")
        self.wait(lambda: "/steps/0/log" in self.driver.current_url)
        self.assertTrue(self.wait(lambda: self.one("#step-0-L6001")).is_displayed())
        self.open(step + "/log?from=5999#step-0-L6001-L6003")
        self.wait(lambda: len(self.all(".l.found")) == 3)
        self.open(step + "/log")
        self.assertTrue(self.one("#step-0-L15001").is_displayed())
        self.one("#text").send_keys("LINE 4321")
        self.follow("form[action$='/search'] button")
        self.assertEqual(len(self.all(".match")), 1)
        self.follow(".match h2 a")
        self.assertTrue(self.one("#step-0-L12962").is_displayed())
        self.assertEqual(violations(self.driver), [])
        self.assertEqual(errors(self.driver), [])


class Hostile(Case):
    def test_nothing_that_was_sent_runs_or_leads_astray(self):
        self.server.send("PUT", "/evil", {"name": EVIL})
        path, _ = self.server.send("POST", "/evil/builds", {
            "success": False, "tags": [EVIL], "client": {"host": EVIL, "u": "javascript:hacked=1", EVIL: EVIL},
            "results": [{"name": EVIL, "success": False, "output": f"{EVIL}\x1b[31m{EVIL}\x1b]8;;javascript:hacked=1\x07x", "errout": EVIL,
                         "note": EVIL, "tests": [{"suite": EVIL, "name": EVIL, "status": "failed", "failure": {"message": EVIL, "text": EVIL}}]}],
        })
        links = set()
        for place in ["/", "/evil", "/evil/builds", path, path + "/tests", path + "/steps/0/output", "/evil/tags", "/users/ann"]:
            with self.subTest(place=place):
                self.open(place)
                self.assertEqual(errors(self.driver), [])
                self.assertIsNone(self.driver.execute_script("return window.hacked ?? null"))
                self.assertEqual(self.all("main img, main script, [href^='javascript:' i]"), [])
                if place not in ["/users/ann"]:
                    self.assertIn("onerror", self.text())
                links.update(link.get_attribute("href") for link in self.all("main a"))
        for href in sorted(href for href in links if "/evil/tests/" in href or "/evil/tags/" in href):
            self.driver.get(href)
            self.assertIsNone(self.driver.execute_script("return window.hacked ?? null"))
            self.assertIn("onerror", self.text())


class SigningIn(Case):
    def setUp(self):
        self.open("/")
        self.driver.delete_all_cookies()

    def test_who_signs_in_may_register_rename_and_delete_and_sign_out(self):
        self.open("/")
        self.assertEqual(self.all("#slug"), [])
        self.sign_in()
        self.assertEqual(self.driver.current_url, self.server.url + "/pony")
        self.follow(".home")
        self.one("#slug").send_keys("okapi")
        self.one("#name").send_keys("Okapi")
        self.follow("form.row[method=post] button")
        self.assertEqual(self.driver.current_url, self.server.url + "/okapi")
        self.assertEqual(violations(self.driver), [])
        self.one("#name").clear()
        self.one("#name").send_keys("Our okapi")
        self.follow("form:has(#gate) button")
        self.assertEqual(self.one("h1").text, "Our okapi")
        for typed, then in [("nothing", "/okapi"), ("okapi", "/")]:
            self.open("/okapi")
            self.one("details:has(#confirm) summary").click()
            self.one("#confirm").send_keys(typed)
            self.follow("button.danger")
            self.assertEqual(self.driver.current_url, self.server.url + then)
            self.assertEqual(violations(self.driver), [])
        self.assertNotIn("Our okapi", self.text())
        # What is refused comes back as it was typed, at the field.
        self.open("/pony")
        self.one("details:has(#gate) summary").click()
        self.one("#gate").send_keys("new:many")
        self.follow("form:has(#gate) button")
        self.assertEqual(self.one("#gate").get_attribute("value"), "new:many")
        self.assertIn("a limit is a whole number", self.one("#gate-why").text)
        self.assertEqual(violations(self.driver), [])
        self.one("#gate").clear()
        self.follow("form:has(#gate) button")
        self.assertEqual(self.driver.current_url, self.server.url + "/pony")
        # Scripts cannot read the session's secret.
        self.assertEqual(self.driver.execute_script("return document.cookie"), "")
        self.follow(".who button")
        self.assertTrue(self.all(".who a[href*=session]"))

    def test_a_form_of_an_ended_session_is_sent_once_one_has_signed_in(self):
        self.sign_in()
        self.one("details:has(#gate) summary").click()
        self.one("#name").clear()
        self.one("#name").send_keys("Ann's pony")
        self.driver.delete_all_cookies()
        self.follow("form:has(#gate) button")
        self.assertIn("your session has ended", self.text())
        self.assertEqual(self.one("#name").get_attribute("value"), "Ann's pony")
        self.assertEqual(violations(self.driver), [])
        self.one("#session_username").send_keys("ann")
        self.one("#session_password").send_keys("ann-pw")
        self.follow("main form button")
        self.assertEqual(self.one("h1").text, "Ann's pony")
        self.assertTrue(self.all(".who button"))

    def test_a_wrong_password_is_told_and_leads_on_once_it_is_right(self):
        self.sign_in("wrong")
        self.assertIn("wrong username or password", self.text())
        self.assertEqual(self.one("#username").get_attribute("value"), "ann")
        self.assertEqual(violations(self.driver), [])
        self.one("#password").send_keys("ann-pw")
        self.follow("main form button")
        self.assertEqual(self.driver.current_url, self.server.url + "/pony")


class WithoutScript(Case):
    @classmethod
    def make(cls):
        return browser(script=False)

    def test_everything_is_there_without_script(self):
        self.open("/")
        self.one("#q").send_keys("zeb")
        self.follow("form[role=search] button")
        self.assertEqual(len(self.all("#projects tbody tr")), 1)
        self.open(self.latest)
        self.assertIn("a pony has four legs", self.one(".step[open] .out").text)
        self.assertFalse(self.one("#find").is_displayed())
        self.one(".step.success summary").click()
        self.one(".step.success .tools a").click()
        self.wait(lambda: "?format=raw" in self.driver.current_url)
        self.assertIn("part 0 of checkout", self.one("body").text)
        self.open("/pony/builds?state=failure")
        self.assertTrue(self.all("tbody tr"))
        self.sign_in()
        self.follow(".home")
        self.one("#slug").send_keys("quagga")
        self.one("#name").send_keys("Quagga")
        self.follow("form.row[method=post] button")
        self.assertEqual(self.driver.current_url, self.server.url + "/quagga")

    def test_a_build_that_runs_is_shown_as_it_is(self):
        progress, _ = self.server.send("POST", "/zebra/builds", {"incremental": True})
        self.server.send("POST", progress, {"name": "first", "success": True})
        self.open(progress.removesuffix("/progress"))
        time.sleep(1)
        self.assertIn("Running, 1 step so far", self.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
