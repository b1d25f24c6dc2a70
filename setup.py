"""Packaging of nsae.  The package needs NumPy alone; everything else is an extra.

The lowest versions here are those that .ci/run tests.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = "0.1.0"

FAST = [
    "numba>=0.59",
    "threadpoolctl>=3.1",
]  # the second one keeps BLAS from spinning: see nsae/system/blas.py
IMAGES = ["pillow>=10.1"]
PLOTS = ["matplotlib>=3.8"]
DASK = ["dask[array,distributed]>=2025.3", "scipy>=1.13"]  # the first that knows SciPy's sparse arrays
ALL = [*FAST, *IMAGES, *PLOTS, "tqdm>=4.66"]
SCIPY = ["scipy>=1.13"]
TORCH = ["torch>=2.4"]  # gigabytes on some platforms, as below
DOCS = ["pdoc>=15", "latex2mathml>=3.77"]
NOTEBOOKS = [*ALL, "jupyterlab>=4", "nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"]
TEST = [
    *ALL,
    *DOCS,
    *DASK,
    "pytest>=8",
    "pytest-cov>=7",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "scikit-learn>=1.6",
    "pandas>=1.5",
    "polars>=0.20",
    *SCIPY,
    "safetensors>=0.4",
    "mypy>=1.15",
    "ruff==0.17.6",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "ipykernel>=6.29",
]
# What the benchmarks compare with.  PyTorch and TensorFlow pull gigabytes on some
# platforms: see benchmarks/README.md for their CPU builds.
PEERS = [
    "scikit-learn>=1.6",
    "torch>=2.4",
    "tensorflow-cpu>=2.16",
    "scipy>=1.11",
    "faiss-cpu>=1.8",
    "hnswlib>=0.8",
    "pynndescent>=0.5.13",
    "sparse_dot_topn>=1.1",
    "threadpoolctl>=3.1",
]

setup(
    name="nsae",
    version=VERSION,
    description="A sparse autoencoder written out in NumPy, and image search by its sparse codes",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["nsae", "nsae.*"]),
    package_data={
        "nsae": [
            "py.typed",
            "compression/patterns.npz",
            "compression/README.md",
            "equations/README.md",
            "export/playground.html",
            "export/playground_encode.js",
            "export/playground_page.js",
            "images/pictures/gallery.html",
            "images/pretrained/photos.npz",
            "images/pretrained/README.md",
            "study/page/page.html",
            "datasets/kodak/*.jpg",
            "datasets/kodak/README.md",
        ]
    },
    install_requires=["numpy>=1.24"],
    extras_require={
        "fast": FAST,
        "images": IMAGES,
        "plots": PLOTS,
        "dask": DASK,
        "all": ALL,
        "notebooks": NOTEBOOKS,
        "scipy": SCIPY,
        "torch": TORCH,
        "docs": DOCS,
        "test": TEST,
        "peers": PEERS,
    },
    entry_points={"console_scripts": ["nsae = nsae.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
