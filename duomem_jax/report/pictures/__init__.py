"""Pictures of reports, each as a PNG and, beside it, as an SVG.

All are drawn on one canvas: the same size, colours that colour-blind readers tell apart, names at
what they name rather than in a legend of many.
"""
