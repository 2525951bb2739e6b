// Bias and leaky ReLU of maps that lie channels last, and their gradient, a pass each.
//
// Eight channels are a vector of 16 bytes in bf16; a row is all channels of a pixel. A thread keeps
// its channels while it goes from row to row, so that bias and sums stay in registers.
//
// pointwise.py puts in front of this file: THREADS, GROUPS (vectors of a row).

struct alignas(16) Vector {
    unsigned short part[8];
};

__device__ inline float wide(unsigned short bits) {
    return __uint_as_float((unsigned)bits << 16);
}

// To the nearest, halves to even, as PyTorch rounds; what is no number stays none.
__device__ inline unsigned short narrow(float number) {
    if (number != number) return 0x7fc0;
    const unsigned bits = __float_as_uint(number);
    return (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// y becomes leaky(y + bias).
extern "C" __global__ void __launch_bounds__(THREADS)
    activate(int rows, float slope, Vector* y, const float* bias) {
    const int group = threadIdx.x % GROUPS, lane = threadIdx.x / GROUPS;
    constexpr int lanes = THREADS / GROUPS;
    float shift[8];
    for (int i = 0; i < 8; i++) shift[i] = bias[8 * group + i];
    for (int row = blockIdx.x * lanes + lane; row < rows; row += gridDim.x * lanes) {
        Vector found = y[(long long)row * GROUPS + group];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float u = wide(found.part[i]) + shift[i];
            found.part[i] = narrow(u > 0 ? u : slope * u);
        }
        y[(long long)row * GROUPS + group] = found;
    }
}

// The gradient with respect to what entered, and sums of it over the rows of each block.
extern "C" __global__ void __launch_bounds__(THREADS)
    activate_back(int rows, float slope, const Vector* y, const Vector* gradient, Vector* of_x,
                  float* sums) {
    extern __shared__ float shared[];
    const int group = threadIdx.x % GROUPS, lane = threadIdx.x / GROUPS;
    constexpr int lanes = THREADS / GROUPS, channels = 8 * GROUPS;
    float sum[8] = {};
    for (int row = blockIdx.x * lanes + lane; row < rows; row += gridDim.x * lanes) {
        const Vector out = y[(long long)row * GROUPS + group];
        Vector found = gradient[(long long)row * GROUPS + group];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float g = wide(found.part[i]) * (wide(out.part[i]) > 0 ? 1 : slope);
            found.part[i] = narrow(g);
            sum[i] += g;
        }
        of_x[(long long)row * GROUPS + group] = found;
    }
    for (int i = 0; i < 8; i++) shared[lane * channels + 8 * group + i] = sum[i];
    __syncthreads();
    for (int channel = threadIdx.x; channel < channels; channel += THREADS) {
        float total = 0;
        for (int other = 0; other < lanes; other++) total += shared[other * channels + channel];
        sums[blockIdx.x * channels + channel] = total;
    }
}
