"""The static site: `make docs` builds it, and fails on a warning."""

from importlib import metadata

project = "duomem_jax"
author = "the authors of duomem_jax"
release = metadata.version("duomem-jax")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "sphinx_book_theme"
html_title = "duomem_jax"
html_theme_options = {"show_toc_level": 2}
# Headings of pages are what other pages link to.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
# Notebooks are run by `make colabs`; the tests run or parse the blocks of pages.
nb_execution_mode = "off"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
# Attributes that several classes have are linked to none of them.
suppress_warnings = ["ref.python"]
napoleon_use_ivar = True  # attributes are described once
