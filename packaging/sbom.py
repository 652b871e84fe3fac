#!/usr/bin/env python3
"""sbom.py: what moco is linked with, as SPDX 2.3 in JSON.

  sbom.py --version V --changelog FILE --out FILE [--runtime NAME=VERSION]... NAME=VERSION...
          -- BINARIES...
  sbom.py --check FILE -- BINARIES...

NAME=VERSION are the libraries that the build found; what the binaries load is read from them, and
what they hold of the runtime, where they load nothing, is what --runtime says. A library that the
table below does not know is listed under its file's name, without a licence.
On Debian, package and version come from dpkg, and what its copyright file names is noted. The
document holds no path, and its date is SOURCE_DATE_EPOCH or that of the newest entry in
debian/changelog: equal builds give equal bytes."""

import argparse
import datetime
import email.utils
import hashlib
import json
import os
import re
import subprocess
import sys

# name: start of the shared library's name, licence, home
KNOWN = {
    "oneDNN": ("libdnnl.so", "Apache-2.0", "https://github.com/oneapi-src/oneDNN"),
    "zlib": ("libz.so", "Zlib", "https://zlib.net"),
    "cJSON": ("libcjson.so", "MIT", "https://github.com/DaveGamble/cJSON"),
    "stb": (None, "MIT OR Unlicense", "https://github.com/nothings/stb"),
    "libjpeg-turbo": ("libjpeg.so", "IJG AND BSD-3-Clause AND Zlib", "https://libjpeg-turbo.org"),
    "LibTIFF": ("libtiff.so", "libtiff", "https://libtiff.gitlab.io/libtiff"),
    "HDF5": ("libhdf5", "LicenseRef-HDF5", "https://www.hdfgroup.org/solutions/hdf5"),
    "CFITSIO": ("libcfitsio.so", "CFITSIO", "https://heasarc.gsfc.nasa.gov/fitsio"),
    "libwebp": ("libwebp", "BSD-3-Clause", "https://chromium.googlesource.com/webm/libwebp"),
    "libgomp": ("libgomp.so", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
    "libomp": (("libomp.so", "libiomp5.so"), "Apache-2.0 WITH LLVM-exception",
               "https://openmp.llvm.org"),
    "libgcc": ("libgcc_s.so", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
    "glibc": (("libc.so.6", "libm.so.6", "ld-linux", "libpthread.so", "libmvec.so"),
              "LGPL-2.1-or-later", "https://www.gnu.org/software/libc"),
    "musl": (("libc.musl", "ld-musl", "libc.so"), "MIT", "https://musl.libc.org"),
}
HEADERS = {"stb": "stb_image.h"}
TEXTS = {
    "LicenseRef-HDF5": "The licence of HDF5, of the BSD kind: COPYING in its sources, "
                       "https://github.com/HDFGroup/hdf5/blob/develop/COPYING"
}
OWN = "moco"


def output_of(*command):
    """What a command prints, or "" where it fails or is not there."""
    environment = dict(os.environ, LC_ALL="C")
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True, env=environment).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def loaded_by(binaries):
    """Names of the shared libraries that the binaries ask for, moco's own left out."""
    names = set()
    for binary in binaries:
        text = output_of("readelf", "-d", binary)
        names.update(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    return sorted(name for name in names if not name.startswith("libmoco.so"))


def known_as(soname):
    """The library of the table to which a shared library's name belongs."""
    for name, (start, _, _) in KNOWN.items():
        starts = (start,) if isinstance(start, str) else start or ()
        if any(soname.startswith(s) for s in starts):
            return name
    print(f"sbom.py: {soname} is linked, but not in the table of known libraries", file=sys.stderr)
    KNOWN[soname] = (soname, "NOASSERTION", "NOASSERTION")
    return soname


def place_of(soname, binaries):
    """Where the loader finds a library, "" where it cannot be asked (a cross build)."""
    for binary in binaries:
        found = re.search(rf"{re.escape(soname)} => (/\S+)", output_of("ldd", binary))
        if found:
            return os.path.realpath(found.group(1))
    return ""


def debian_package(path):
    """(package, version, architecture) of the Debian package that owns a file, or None."""
    owner = path and output_of("dpkg-query", "-S", path).split(": ")[0]
    if not owner and path.startswith("/usr/"):
        owner = output_of("dpkg-query", "-S", path[4:]).split(": ")[0]
    if not owner or "\n" in owner:
        return None
    fields = output_of("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}", owner)
    return tuple(fields.split()) if len(fields.split()) == 3 else None


def header_place(name):
    """The path of a library that is a header alone."""
    lines = output_of("dpkg-query", "-S", "*/" + HEADERS[name]).splitlines()
    return lines[0].split(": ", 1)[1] if lines else ""


def copyright_licences(package):
    """Short names of licences in the package's machine-readable copyright file."""
    try:
        with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8") as file:
            names = re.findall(r"^License:\s*(\S.*)$", file.read(), re.M)
    except OSError:
        return []
    return sorted({name.strip() for name in names})


def upstream(version):
    """Debian's version without epoch and revision."""
    return version.split(":", 1)[-1].rsplit("-", 1)[0]


def component(name, version, path, linked_static):
    """The package of one library, and how moco is tied to it."""
    _, licence, home = KNOWN[name]
    item = {"SPDXID": "SPDXRef-" + name, "name": name, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "homepage": home, "licenseConcluded": licence,
            "licenseDeclared": licence, "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "LIBRARY"}
    package = debian_package(path)
    if package:
        names = copyright_licences(package[0])
        if name in HEADERS or not version: # headers have no version of their own
            version = upstream(package[1])
        item["supplier"] = "Organization: Debian"
        item["externalRefs"] = [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": "pkg:deb/debian/{}@{}?arch={}".format(
                package[0], package[1].replace("+", "%2B").replace(":", "%3A"), package[2])}]
        if names:
            item["licenseComments"] = "Debian's copyright file names: " + ", ".join(names)
    item["versionInfo"] = version or "NOASSERTION"
    kind = "STATIC_LINK" if linked_static else "DYNAMIC_LINK"
    return item, {"spdxElementId": "SPDXRef-" + OWN, "relationshipType": kind,
                  "relatedSpdxElement": "SPDXRef-" + name}


def date_of(changelog):
    """The document's date: SOURCE_DATE_EPOCH, or the newest entry's."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        date = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
    else:
        with open(changelog, encoding="utf-8") as file:
            line = re.search(r"^ -- .*>  (.*)$", file.read(), re.M)
        date = email.utils.parsedate_to_datetime(line.group(1)).astimezone(datetime.timezone.utc)
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def make(arguments):
    """The document as a dictionary."""
    sonames = {known_as(soname): soname for soname in loaded_by(arguments.binaries)}
    runtime = [] if sonames else arguments.runtime
    versions = dict(pair.split("=", 1) for pair in arguments.libraries + runtime)
    packages = [{"SPDXID": "SPDXRef-" + OWN, "name": OWN, "versionInfo": arguments.version,
                 "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                 "licenseConcluded": "MIT", "licenseDeclared": "MIT",
                 "copyrightText": "Copyright (c) 2026 the moco authors",
                 "primaryPackagePurpose": "APPLICATION"}]
    ties = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
             "relatedSpdxElement": "SPDXRef-" + OWN}]
    for name in sorted(set(versions) | set(sonames), key=str.lower):
        soname = sonames.get(name)
        path = place_of(soname, arguments.binaries) if soname else ""
        if name in HEADERS:
            path = header_place(name)
        item, tie = component(name, versions.get(name), path, soname is None)
        packages.append(item)
        ties.append(tie)
    used = " ".join(item["licenseConcluded"] for item in packages)
    texts = [{"licenseId": key, "extractedText": text, "name": key[len("LicenseRef-"):] + " licence"}
             for key, text in TEXTS.items() if key in used]
    document = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
                "name": f"{OWN}-{arguments.version}",
                "creationInfo": {"created": date_of(arguments.changelog),
                                 "creators": [f"Tool: moco-sbom-{arguments.version}"]},
                "packages": packages, "relationships": ties}
    if texts:
        document["hasExtractedLicensingInfos"] = texts
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/{OWN}-{arguments.version}-{digest}"
    return document


# ---- checking ----

def problems(document, text, binaries):
    """What SPDX 2.3 asks for and the document lacks, and what moco asks for besides."""
    for key in ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo",
                "packages", "relationships"):
        if key not in document:
            yield f"{key} is missing"
            return
    if document["spdxVersion"] != "SPDX-2.3" or document["dataLicense"] != "CC0-1.0":
        yield "not SPDX 2.3 under CC0-1.0"
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"]):
        yield "the date is none"
    ids = [item.get("SPDXID", "") for item in document["packages"]]
    if len(set(ids)) != len(ids):
        yield "two packages have one SPDXID"
    for item in document["packages"]:
        yield from package_problems(item)
    for tie in document["relationships"]:
        for end in (tie["spdxElementId"], tie["relatedSpdxElement"]):
            if end not in ids + ["SPDXRef-DOCUMENT"]:
                yield f"a relationship names {end}, which is not there"
    for key in set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", json.dumps(document["packages"]))):
        if key not in [one["licenseId"] for one in document.get("hasExtractedLicensingInfos", [])]:
            yield f"the text of {key} is missing"
    tied = {tie["relatedSpdxElement"] for tie in document["relationships"]}
    yield from (f"{one} is tied to nothing" for one in ids if one not in tied)
    for soname in loaded_by(binaries):
        if "SPDXRef-" + known_as(soname) not in ids:
            yield f"{soname} is linked, but not listed"
    if re.search(r'[" (=](/[A-Za-z0-9._-]+){2}', text):
        yield "it holds a path"


def package_problems(item):
    """The same for one package."""
    for key in ("SPDXID", "name", "downloadLocation", "licenseConcluded", "versionInfo"):
        if not item.get(key):
            yield f"{item.get('name')}: {key} is missing"
    if not re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", item.get("SPDXID", "")):
        yield f"{item.get('name')}: the SPDXID is none"


def check(path, binaries):
    """Prints what is wrong with a document; the exit status."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = list(problems(json.loads(text), text, binaries))
    for problem in found:
        print(f"{os.path.basename(path)}: {problem}", file=sys.stderr)
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description="what moco is linked with, as SPDX 2.3")
    parser.add_argument("--version")
    parser.add_argument("--changelog")
    parser.add_argument("--out")
    parser.add_argument("--check")
    parser.add_argument("--runtime", action="append", default=[])
    parser.add_argument("libraries", nargs="*")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:cut])
    arguments.binaries = words[cut + 1:]
    if arguments.check:
        return check(arguments.check, arguments.binaries)
    with open(arguments.out, "w", encoding="utf-8") as file:
        json.dump(make(arguments), file, indent=1)
        file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
