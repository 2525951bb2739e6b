"""CUDA kernels on a processor: a thread of the system for each of a block, blocks in turn.

What stands in front of a source here gives its CUDA words a meaning in C++, so that the kernels
that a GPU runs can be compiled and called where there is none. Threads wait for each other where
the kernel says so and nowhere else, so what depends on luck there does here too.
"""

import ctypes
import subprocess

import torch

from hgn_train.gpu import cuda

WORDS = """
#include <barrier>
#include <bit>
#include <cmath>
#include <thread>
#include <vector>
#define __device__
#define __global__
#define __constant__ static const
#define __launch_bounds__(threads)
#define __shared__
struct Index { int x; };
static thread_local Index threadIdx, blockIdx, gridDim;
static float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
static unsigned __float_as_uint(float number) { return std::bit_cast<unsigned>(number); }
static std::barrier<>* together;
#define __syncthreads() together->arrive_and_wait()
float shared[1 << 15];
"""

CALLS = """
template <class Kernel, class... Arguments>
static void run(Kernel kernel, int blocks, Arguments... arguments) {
    for (int block = 0; block < blocks; block++) {
        std::barrier<> barrier(THREADS);
        together = &barrier;
        for (float& number : shared) number = NAN;  // nothing is read before it is written
        std::vector<std::thread> threads;
        for (int thread = 0; thread < THREADS; thread++)
            threads.emplace_back([=] {
                threadIdx.x = thread;
                blockIdx.x = block;
                gridDim.x = blocks;
                kernel(arguments...);
            });
        for (std::thread& thread : threads) thread.join();
    }
}
template <class... Parameters> struct Call {
    template <void (*kernel)(Parameters...)> static void of(int blocks, Parameters... arguments) {
        run(kernel, blocks, arguments...);
    }
};
template <class... Parameters> Call<Parameters...> call(void (*)(Parameters...)) { return {}; }
#define EXPORT(name) \\
    extern "C" { auto emulate_##name = &decltype(call(name))::of<name>; }
"""


class Program:
    """As `hgn_train.gpu.cuda.Program`, for arrays of the processor."""

    def __init__(self, source, folder, kernels, flags=()):
        path = folder / f"{kernels[0]}.cpp"
        exported = [f"EXPORT({name})" for name in kernels]
        path.write_text("\n".join([WORDS, source, CALLS, *exported]))
        library = path.with_suffix(".so")
        command = ["g++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", *flags]
        subprocess.run(
            [*command, "-Wno-unknown-pragmas", "-o", str(library), str(path)], check=True
        )
        self.library = ctypes.CDLL(str(library))
        self.launches = []

    def launch(self, name, blocks, arguments):
        call = ctypes.CFUNCTYPE(None, ctypes.c_int, *map(cuda.kind_of, arguments))
        address = ctypes.c_void_p.in_dll(self.library, f"emulate_{name}")
        values = [x.data_ptr() if isinstance(x, torch.Tensor) else x for x in arguments]
        call(address.value)(blocks, *values)
        self.launches.append(name)
