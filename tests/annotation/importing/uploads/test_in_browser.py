"""A manager brings a file in without a shell: sent, mapped, checked, imported, undone; accessible on the way."""

import json

import pytest
from django.urls import reverse

from annotation.importing.uploads import actions, views
from annotation.models import Import, Judgment, Upload
from tests.axe import complaints

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def manager(page, client, live_server, project, criterion, max_):
    client.force_login(max_)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    page.context.add_cookies([cookie])
    return page


def test_a_file_comes_in_by_the_browser(manager, live_server, project, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "MAX_PIECE_BYTES", 2000)  # several pieces
    page = manager
    rows = [
        {"question": f"What of **{n}**?", "good": f"Yes, `{n}`", "bad": "No " * 20, "who": f"w{n % 3}"}
        for n in range(40)
    ] + [{"question": "Broken?", "good": 7, "bad": "No", "who": "w1"}]
    path = tmp_path / "a_long_name_of_a_file_of_comparisons.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {}

    def look(name):
        for width, scheme in ((320, "dark"), (1280, "light")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.reload()  # colours that change slowly have no contrast of their own
            found[name, width] = complaints(page, width)

    page.goto(live_server.url + reverse("data:prompts", args=[project.slug]))
    page.get_by_role("link", name="Imports").click()
    page.get_by_role("link", name="Import a file").click()
    look("new")
    # The connection is lost in the middle and comes back.
    cut = []

    def lose_once(route):
        if "offset=4000" in route.request.url and not cut:
            cut.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/pieces/**", lose_once)
    page.get_by_label("File").set_input_files(path)
    page.wait_for_url("**/uploads/*/")
    page.complaints.remove("Failed to load resource: net::ERR_FAILED")
    assert cut and Upload.objects.get().path.read_bytes() == path.read_bytes()
    page.get_by_label("What the file is").select_option("comparisons/trl")
    page.wait_for_selector("#id_named_strengths")
    for column, field in (
        ("question", "prompt"),
        ("good", "chosen"),
        ("bad", "rejected"),
        ("who", "annotator"),
    ):
        page.get_by_label(f"{column} is read as").select_option(field)
    page.get_by_role("button", name="Show what becomes of it").click()
    page.wait_for_selector("strong:has-text('0')")
    page.get_by_role("button", name="Check the whole file").click()
    page.get_by_text("An import would be refused").wait_for()
    look("preview")
    page.get_by_label("Leave bad rows out").check()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("heading", name="Rows that were left out").wait_for()
    imported = Import.objects.get()
    assert (imported.rows, imported.bad_rows, Judgment.objects.count()) == (41, 1, 40)
    look("report")
    page.get_by_role("link", name="Undo").click()
    look("undo")
    page.get_by_role("button", name="Undo the import").click()
    page.get_by_text("Taken back: 40 judgments").wait_for()
    page.get_by_role("link", name="Imports", exact=True).first.click()
    page.locator(".badge-state", has_text="Taken back").wait_for()
    look("list")
    assert found == {key: [] for key in found}


def test_a_file_goes_on_where_it_was_after_the_page_was_left(
    manager, live_server, project, tmp_path, monkeypatch
):
    monkeypatch.setattr(views, "MAX_PIECE_BYTES", 1000)
    page = manager
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Q{n}"}) + "\n" for n in range(300)))
    sent = []

    def stop_after_two(route):
        sent.append(route.request.url.partition("offset=")[2])
        if len(sent) == 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/pieces/**", stop_after_two)
    new = live_server.url + reverse("data:new_upload", args=[project.slug])
    page.goto(new)
    page.get_by_label("File").set_input_files(path)
    page.get_by_text("No connection to the server").wait_for()
    page.goto(new)
    page.get_by_label("File").set_input_files(path)
    page.wait_for_url("**/uploads/*/")
    page.complaints.remove("Failed to load resource: net::ERR_FAILED")
    assert sent[:4] == ["0", "1000", "2000", "2000"]
    [upload] = Upload.objects.all()
    assert upload.path.read_bytes() == path.read_bytes() and actions.hash_file(upload.path) == upload.sha256


def test_the_data_section_is_accessible_and_fits(manager, live_server, project, max_, tmp_path):
    from annotation.importing.contents.actions import import_demonstrations, import_prompts, import_texts
    from annotation.models import Demonstration, Prompt, PromptSet, Text

    page = manager

    def bring(action, rows, **options):
        path = tmp_path / f"{action.__name__}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        action(actor=max_, project=project, path=path, **options)

    bring(import_prompts, [{"prompt": f"Tell me of number {n} and of " + "salt " * 30, "tags": ["a tag", "another"],
                            "colour": "green"} for n in range(60)])  # fmt: skip
    bring(import_demonstrations, [{"prompt": "Boil?", "response": "For **three** minutes."}])
    bring(import_texts, [{"text": "A text about salt. " * 40}], licence="CC0")
    slug = project.slug
    things = {"prompt": Prompt.objects.first(), "prompt_set": PromptSet.objects.first(),
              "demonstration": Demonstration.objects.get(), "text": Text.objects.get()}  # fmt: skip
    lists = ("prompts", "prompt_sets", "demonstrations", "texts")
    addresses = {name: reverse(f"data:{name}", args=[slug]) for name in lists}
    addresses |= {name: reverse(f"data:{name}", args=[slug, thing.pk]) for name, thing in things.items()}
    addresses |= {name: reverse(f"{name}:list", args=[slug]) for name in ("reward_models", "policies")}
    found = {}
    for width, scheme in ((1280, "light"), (320, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        for name, address in addresses.items():
            page.goto(live_server.url + address)
            found[name, width] = complaints(page, width)
    assert found == {key: [] for key in found}


def test_several_files_are_chosen_at_once_and_one_more_later(
    manager, live_server, project, tmp_path, monkeypatch
):
    monkeypatch.setattr(views, "MAX_PIECE_BYTES", 20)  # several pieces each
    page = manager
    paths = [tmp_path / f"part {number}.jsonl" for number in (10, 2, 1)]
    for path in paths:
        path.write_text(json.dumps({"prompt": f"What is in {path.stem}?"}) + "\n")
    page.goto(live_server.url + reverse("data:new_upload", args=[project.slug]) + "?kind=prompts")
    page.get_by_label("File, or several as one import").set_input_files(paths[:2])
    page.get_by_role("heading", name="part 2.jsonl and 1 more").wait_for()
    page.get_by_text("More files of this import").click()
    page.get_by_label("Files", exact=True).set_input_files(paths[2])
    page.get_by_role("heading", name="part 2.jsonl and 2 more").wait_for()
    assert complaints(page, 1280) == []
    assert [upload.name for upload in Upload.objects.get(part_of=None).files()] == [
        "part 2.jsonl", "part 10.jsonl", "part 1.jsonl",
    ]  # fmt: skip
    page.get_by_role("button", name="Remove part 10.jsonl").click()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_role("heading", name="part 2.jsonl and 1 more").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("heading", name="Import ").wait_for()
    page.wait_for_url("**/imports/*/")
    assert [file["name"] for file in Import.objects.get().files] == ["part 2.jsonl", "part 1.jsonl"]
