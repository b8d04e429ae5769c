"""What is done with the examples of a run once they are read, an edit a file; conf/edit names them.

    genlab train data=digits '+edit@edits.forget=forget' edits.forget.ids=[3,17]

An edit is called as edit(splits, data), before a run sees an example, and gives the splits anew;
one of your own is a subclass of `Edit` (base.py) and a YAML in conf/edit.
"""
