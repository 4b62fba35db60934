"""`python -m gradpow` prints the atlas, `python -m gradpow sign` what is found by that text."""

import argparse

from gradpow import find


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m gradpow", description="The methods of gradpow.")
    parser.add_argument("text", nargs="?", help="what name, papers or first line contain")
    parser.add_argument("--family", help='such as "sign"')
    parser.add_argument("--needs", action="append", help='such as "params"; may be repeated')
    chosen = parser.parse_args(arguments)
    try:
        print(find(chosen.family, chosen.needs, chosen.text))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
