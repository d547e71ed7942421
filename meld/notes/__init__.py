"""What passes tell each other: the language of the `@meld.…` annotations.

A note is a dataclass (`meld.ir.notes`); its module registers it as it is imported.
"""
