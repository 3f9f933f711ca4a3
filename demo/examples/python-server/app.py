from web import App, escape

app = App()
notes = ["Change this list, and run again."]


@app.get("/")
def index(request):
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"""<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title>
<link rel="stylesheet" href="/static/style.css">
<h1>Notes</h1>
<ul>{items}</ul>
<form method="post" action="/notes">
  <input name="note" placeholder="Something to remember" required>
  <button>Add</button>
</form>
<p><a href="/api/notes">As JSON</a></p>"""


@app.post("/notes")
def add(request):
    notes.append(request.form.get("note", ""))
    return app.redirect("/")


@app.get("/api/notes")
def as_json(request):
    return {"notes": notes}


app.run(port=8000)
