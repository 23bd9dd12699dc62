"""Finish the project: no network, no git, and the same answers give the same bytes."""

import os  # and nothing else: what is imported here is waited for

# Folders cannot have conditional names as files have: an empty one would be the root. Nothing is written into these
# without Alembic; what is in them is the team's. One that is not there is an error, so that this list cannot grow stale.
UNUSED = [
{% if cookiecutter.migrations != "alembic" %}
    "migrations/versions",
    "migrations",
{% endif %}
]

for folder in UNUSED:
    if not os.listdir(folder):
        os.rmdir(folder)

if not os.path.lexists(".env"):  # that of an existing project holds its owner's secrets
    with open(".env.example", "rb") as example, open(".env", "wb") as env:
        env.write(example.read())

{% if cookiecutter._commit is not defined %}{# cruft renders into a temporary folder, too #}
print(f"""
{{ cookiecutter.project_slug }}: {{ cookiecutter._databases[cookiecutter.database].title }}, {{ cookiecutter.engine }}, {{ cookiecutter.migrations }}

Next:
    cd {os.getcwd()}
    make test
    make run     and open http://127.0.0.1:8000/docs
""")
{% endif %}
