"""The look in a real browser: themes, contrast, small windows, keyboard, the content policy."""

import pytest
from django.conf import settings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Text on ground, as the components pair them; AA asks for 4.5 to 1.
TEXT = [
    ("--ink", "--bg"),
    ("--ink-2", "--surface"),
    ("--ink-2", "--surface-3"),
    ("--ink-3", "--bg"),
    ("--ink-3", "--surface"),
    ("--ink-3", "--surface-2"),
    ("--ink-3", "--surface-3"),
    ("--on-accent", "--accent"),
    ("--on-accent", "--accent-hover"),
    ("--accent-text", "--bg"),
    ("--accent-text", "--accent-soft"),
    ("--ok-text", "--ok-soft"),
    ("--warn-text", "--warn-soft"),
    ("--bad-text", "--bad-soft"),
    ("--bad-text", "--surface"),
    ("--info-text", "--info-soft"),
    ("--odd-text", "--odd-soft"),
    ("--on-stage-2", "--stage"),
    ("--on-rec", "--rec"),
]
# Edges and glyphs that one must see to use a control; 3 to 1.
EDGES = [
    ("--line-strong", "--surface"),
    ("--line-strong", "--bg"),
    ("--accent-edge", "--surface"),
    ("--bad-solid", "--surface"),
    ("--focus", "--bg"),
    ("--focus", "--surface"),
]
RATIO = """
([pairs, brand]) => {
  if (brand) document.documentElement.style.setProperty("--brand", brand);
  const probe = document.body.appendChild(document.createElement("span"));
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const light = (name) => {
    probe.style.color = `var(${name})`;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const result = pairs.map(([one, two]) => {
    const [low, high] = [light(one), light(two)].sort((a, b) => a - b);
    return [one, two, (high + 0.05) / (low + 0.05)];
  });
  probe.remove();
  return result;
}
"""
BRANDS = ["", "#ffd100", "#e2001a", "#15181b", "#8fe0c0", "#6a3df0", "#ffffff", "#000000"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_edges_have_contrast_with_any_brand(page, live_server, theme):
    page.emulate_media(color_scheme=theme)
    page.goto(f"{live_server.url}/patterns/")
    for brand in BRANDS:
        for pairs, least in ((TEXT, 4.5), (EDGES, 3.0)):
            low = [row for row in page.evaluate(RATIO, [pairs, brand]) if row[2] < least]
            assert low == [], (theme, brand)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_nothing_scrolls_sideways_at_320(page, live_server, direction):
    page.set_viewport_size({"width": 320, "height": 640})
    for address in ("/patterns/?messages", "/accounts/login/", "/accounts/password/reset/", "/nothing/"):
        page.goto(f"{live_server.url}{address}")
        page.evaluate("direction => { document.documentElement.dir = direction; }", direction)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, address


@pytest.mark.parametrize("address", ["/patterns/", "/accounts/login/"])
def test_targets_are_24_px(page, live_server, address):
    page.goto(f"{live_server.url}{address}")
    small = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [role=option]")]
          .map((element) => element.closest("label") ?? element)
          // WCAG 2.5.8 leaves links in a line of text out, and what is not shown
          .filter((element) => !(element.matches("a") && getComputedStyle(element).display === "inline"))
          .filter((element) => element.getClientRects().length && !element.matches(".skip"))
          .map((element) => [element.outerHTML.slice(0, 120), element.getBoundingClientRect()])
          .filter(([, box]) => box.width < 23.9 || box.height < 23.9)
          .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""
    )
    assert small == []


def test_glyphs_come_from_the_sprite_under_the_content_policy(page, live_server):
    page.goto(f"{live_server.url}/patterns/")
    page.wait_for_load_state("networkidle")
    empty = page.evaluate(
        """() => [...document.querySelectorAll("#icons svg.icon use")].filter((use) => !use.getBBox().width).length"""
    )
    shown = page.evaluate("""() => document.querySelectorAll("#icons svg.icon use").length""")
    assert shown > 40
    assert empty == 0


def test_a_chosen_theme_stays(page, live_server):
    page.emulate_media(color_scheme="light")
    page.goto(f"{live_server.url}/patterns/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("radio", name="Dark").check()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    assert page.get_by_role("radio", name="Dark").is_checked()
    page.get_by_role("radio", name="Like the system").check()
    assert page.evaluate(ground) == light


def test_dialog_opens_closes_and_gives_the_focus_back(page, live_server):
    page.goto(f"{live_server.url}/patterns/")
    opener = page.get_by_role("button", name="Delete", exact=True)
    opener.click()
    dialog = page.get_by_role("dialog", name="Delete “Welcome to the pilot”?")
    assert dialog.evaluate("element => element.matches(':modal')")
    page.keyboard.press("Escape")
    assert not dialog.evaluate("element => element.open")
    assert opener.evaluate("element => element === document.activeElement")


def test_toast_waits_while_it_is_read_and_closes_on_demand(page, live_server):
    page.clock.install()
    page.goto(f"{live_server.url}/patterns/?messages")
    toasts = page.locator("[data-toasts] .toast")
    assert toasts.count() == 1
    assert page.locator(".banner--page").count() == 2
    toasts.hover()
    page.clock.run_for(60_000)
    assert toasts.count() == 1
    page.get_by_role("button", name="Close").last.click()
    assert toasts.count() == 0

    page.reload()
    page.goto(f"{live_server.url}/patterns/?messages")
    page.mouse.move(0, 0)
    page.clock.run_for(21_000)
    assert toasts.count() == 0


def test_undo_bar_counts_down_and_then_closes(page, live_server):
    page.clock.install()
    page.goto(f"{live_server.url}/patterns/")
    bar = page.locator("[data-undo]")
    page.evaluate("addEventListener('undo:end', () => { document.title = 'ended'; })")
    page.clock.run_for(5_000)
    assert bar.locator("[data-undo-text]").inner_text() == "Sending in 15 s"
    assert bar.get_by_role("button", name="Undo").is_enabled()
    page.clock.run_for(16_000)
    assert bar.get_by_role("button", name="Undo").is_disabled()
    assert page.title() == "ended"


def test_motion_stops_for_those_who_asked(page, live_server):
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{live_server.url}/patterns/")
    moving = page.evaluate(
        """() => document.getAnimations().filter((animation) => animation.playState === "running"
             && animation.effect.getComputedTiming().duration > 10).length"""
    )
    assert moving == 0


def test_tab_leads_to_the_content_first(page, live_server):
    page.goto(f"{live_server.url}/patterns/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def _sign_in(context, live_server, client, user):
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])


@pytest.mark.parametrize("width", [390, 1280])
def test_admin_pages_fit_and_keep_the_content_policy(page, browser_context, live_server, client, root, width):
    # The fixture `page` fails on anything that the policy blocks.
    _sign_in(browser_context, live_server, client, root)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{live_server.url}/admin/")
    lists = page.evaluate(
        """() => [...new Set([...document.querySelectorAll("#content a, #nav-sidebar a")].map((link) => link.href))]
          .filter((href) => /\\/admin\\/[\\w-]+\\/[\\w-]+\\/(add\\/)?$/.test(href))"""
    )
    assert len(lists) > 3
    for address in [f"{live_server.url}/admin/", *lists]:
        assert page.goto(address).status == 200, address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_admin_follows_our_tokens(page, browser_context, live_server, client, root, theme):
    _sign_in(browser_context, live_server, client, root)
    page.emulate_media(color_scheme=theme)
    page.goto(f"{live_server.url}/patterns/")
    ours = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{live_server.url}/admin/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ours
    for pairs, least in ((TEXT, 4.5), (EDGES, 3.0)):
        assert [row for row in page.evaluate(RATIO, [pairs, ""]) if row[2] < least] == []
