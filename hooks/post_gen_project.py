"""Finish the project: no network, no git, and the same answers give the same bytes."""

import os  # and little else: what is imported here is waited for

# Folders cannot have conditional names as files have: an empty one would be the root. A path that is not there is
# an error, so that this list cannot grow stale.
UNUSED = [
{% if cookiecutter.migrations != "alembic" %}
    "migrations",
{% endif %}
]

for path in UNUSED:
    import shutil

    shutil.rmtree(path)

if not os.path.exists(".env"):  # that of an existing project holds its owner's secrets
    with open(".env.example", "rb") as example, open(".env", "wb") as env:
        env.write(example.read())

{% if cookiecutter._commit is not defined %}{# cruft renders into a temporary folder, too #}
print(f"""
Next:
    cd {os.getcwd()}
    make test
    make run     and open http://127.0.0.1:8000/docs
""")
{% endif %}
