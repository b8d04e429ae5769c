"""How examples are drawn, as functions of a callable: no model class is known here."""
