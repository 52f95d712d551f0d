import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello from Flask on Croft\n", {"content-type": "text/plain"}


@app.get("/healthz")
def healthz():
    return {"ok": True, "instance": os.environ.get("CROFT_INSTANCE"), "release": os.environ.get("CROFT_RELEASE")}
