"""PyPI fhirclient launches by itself: it reads the CapabilityStatement, a person signs in, picks a patient and agrees, and
the app gets data. No browser: the forms are filled in by HTTP. The environment is that of a demo's demo.env."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from fhirclient import client
from fhirclient.models.observation import Observation

BASE = os.environ["FIRTH_URL"]
CALLBACK = "http://127.0.0.1:9/callback"
PATIENT = os.environ["FIRTH_PATIENT_IDS"].split(",")[0]


class Forms(HTMLParser):
    """The forms of a page: where they go, their fields, and their buttons."""

    def __init__(self, text):
        super().__init__()
        self.forms = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        if tag == "form":
            self.forms.append({"action": of.get("action"), "fields": [], "buttons": []})
        elif tag == "input" and self.forms and (of.get("type") != "checkbox" or "checked" in of):
            self.forms[-1]["fields"].append((of.get("name"), of.get("value") or ""))
        elif tag == "button" and self.forms:
            self.forms[-1]["buttons"].append((of.get("name"), of.get("value") or ""))


def registered():
    """The client id of a public app that answers on CALLBACK."""
    verb = [sys.argv[1], "client", "add", "--data-dir", sys.argv[2], "--name", "Python app", "--public", "--redirect-uri", CALLBACK]
    printed = subprocess.run(verb, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in printed.splitlines())["client_id"]


def send(session, page, action, fill=(), button=()):
    """Sends the form that goes there, with these fields filled in and this button pressed."""
    fill = dict(fill)
    for form in Forms(page.text).forms:
        if form["action"].endswith(action) and (not button or not form["buttons"] or tuple(button) in form["buttons"]):
            fields = [(name, fill.get(name, value)) for name, value in form["fields"]] + ([tuple(button)] if button else [])
            return session.post(urljoin(page.url, form["action"]), data=fields, allow_redirects=False)
    raise SystemExit(f"no form to {action} on {page.url}: {page.text[:500]}")


def follow(session, answer):
    """Goes where the answer sends, but not to the app: its address is where this ends."""
    while answer.is_redirect and not answer.headers["location"].startswith(CALLBACK):
        answer = session.get(urljoin(answer.url, answer.headers["location"]), allow_redirects=False)
    return answer


def authorized(url):
    """What a person does who is sent there; the address at which the app is answered."""
    session = requests.Session()
    page = follow(session, session.get(url, allow_redirects=False))
    login = {"name": os.environ["FIRTH_CLINICIAN_LOGIN"], "password": os.environ["FIRTH_CLINICIAN_PASSWORD"]}
    page = follow(session, send(session, page, "/sign-in", login))
    page = follow(session, send(session, page, "/oauth/patient", {"name": "marl"}, ("do", "search")))
    page = follow(session, send(session, page, "/oauth/patient", (), ("patient", PATIENT)))
    return send(session, page, "/oauth/consent", (), ("decision", "allow")).headers["location"]


def main():
    scope = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs"
    settings = {"app_id": registered(), "api_base": f"{BASE}/fhir", "redirect_uri": CALLBACK, "scope": scope}
    smart = client.FHIRClient(settings=settings)
    assert smart.prepare() is False, "nobody has agreed yet"
    smart.handle_callback(authorized(smart.authorize_url))
    assert smart.ready and smart.patient_id == PATIENT, smart.patient_id
    found = Observation.where({"code": "http://loinc.org|8867-4", "_count": "50"}).perform_resources(smart.server)
    # It follows the next links by itself.
    assert len(found) > 100, len(found)
    assert {one.subject.reference for one in found} == {f"Patient/{PATIENT}"}
    print(f"fhirclient of Python: {smart.human_name(smart.patient.name[0])}, {len(found)} heart rates, {found[0].valueQuantity.value} {found[0].valueQuantity.unit}")


main()
