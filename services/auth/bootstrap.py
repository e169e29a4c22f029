"""python -m services.auth.bootstrap: another name of services.bootstrap, run, not imported: auth knows no service."""

import runpy

if __name__ == "__main__":
    runpy.run_module("services.bootstrap", run_name="__main__")
