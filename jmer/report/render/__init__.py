"""Pages as text: Markdown, HTML, LaTeX."""
