"""A backend service: its keys are made here and registered, an assertion of RS384 gets a token, the token gets data."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

BASE = os.environ["FIRTH_URL"]
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def registered(key):
    """The client id of a backend service with this key."""
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    public.update({"kid": "one", "alg": "RS384", "use": "sig"})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"keys": [public]}, file)
        file.flush()
        verb = [sys.argv[1], "client", "add", "--data-dir", sys.argv[2], "--name", "Python service", "--role", "ehr-system", "--jwks", file.name]
        printed = subprocess.run(verb, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in printed.splitlines())["client_id"]


def asked(key, client_id, token_url, **other):
    """The answer to a token request."""
    claims = {"iss": client_id, "sub": client_id, "aud": token_url, "exp": int(time.time()) + 240, "jti": str(uuid.uuid4()), **other}
    assertion = jwt.encode(claims, key, algorithm="RS384", headers={"kid": "one"})
    form = {"grant_type": "client_credentials", "scope": "system/Patient.rs system/Observation.rs"}
    return requests.post(token_url, data={**form, "client_assertion_type": ASSERTION, "client_assertion": assertion}, timeout=30)


def main():
    smart = requests.get(f"{BASE}/fhir/.well-known/smart-configuration", timeout=30).json()
    assert "private_key_jwt" in smart["token_endpoint_auth_methods_supported"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    client_id = registered(key)
    answer = asked(key, client_id, smart["token_endpoint"])
    assert answer.status_code == 200, answer.text
    token = answer.json()
    assert token["token_type"].lower() == "bearer" and token["expires_in"] <= 300, token
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    found = requests.get(f"{BASE}/fhir/Patient", headers=bearer, timeout=30).json()
    ids = {entry["resource"]["id"] for entry in found["entry"]}
    assert ids >= set(os.environ["FIRTH_PATIENT_IDS"].split(",")), ids
    assert requests.get(f"{BASE}/fhir/Device", headers=bearer, timeout=30).status_code == 403
    for name, wrong in {"another audience": {"aud": f"{BASE}/fhir"}, "too long": {"exp": int(time.time()) + 3600}}.items():
        refused = asked(key, client_id, smart["token_endpoint"], **wrong)
        assert refused.status_code == 401 and refused.json()["error"] == "invalid_client", (name, refused.text)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert asked(other, client_id, smart["token_endpoint"]).json()["error"] == "invalid_client"
    print(f"a backend service of Python: {len(ids)} patients")


main()
