// Rollouts of kicks and drifts along H = T(p) + V(q), and the products E''(x) γ of their gradient.
//
// The mathematics is that of hgn_train/adjoint.py. Here a block of threads has a trajectory and
// does all of its steps in one launch: states and what goes from layer to layer stay in shared
// memory, weights come from the cache, and what the gradient needs later is written out.
//
// A layer is a convolution of small square maps; a linear layer is one of a single pixel. Threads
// lie along the channels that a layer makes, so that neighbours read neighbouring weights, and the
// channels that it sees are dealt out among groups of them, whose sums are then added up.
//
// hgn_train/fused.py puts in front of this file: THREADS, DEPTH (hidden layers), N (numbers in q),
// WIDEST (numbers in the largest map), OPERATIONS (kicks and drifts of a step), WAY, SHARE and NEW
// of each of these, TOGETHER (all slopes of a step are of the state before it), STIFF, the activation as value(u), slope(u) and curvature(u), and
//
//     template <> struct Shape<L> { in, out, kernel, stride, pad, side, after, weights }
//
// for each hidden layer: channels, the kernel's width, stride and padding, pixels a side before and
// after, and where its weights begin: forward (in, tap, out), backward (out, tap, in), bias (out).
// LAST and STIFFNESS are where the weights of the sum and the quadratic part begin.

template <int L> struct Numbers {  // of a map in front of a layer and behind it
    static constexpr int in = Shape<L>::in * Shape<L>::side * Shape<L>::side;
    static constexpr int out = Shape<L>::out * Shape<L>::after * Shape<L>::after;
};

template <int L> struct Before {  // of all maps before this layer's
    static constexpr int in = Before<L - 1>::in + Numbers<L - 1>::in;
    static constexpr int out = Before<L - 1>::out + Numbers<L - 1>::out;
};
template <> struct Before<0> {
    static constexpr int in = 0, out = 0;
};

constexpr int HIDDEN = Before<DEPTH>::out;
constexpr int TOP = DEPTH - 1;

// Arrays with an entry (slope, trajectory, number) for each layer, one layer behind the other.
struct Kept {
    float* start;
    int slopes, batch, slope;

    // where the numbers of this block's trajectory are, in the array whose layers before have so many
    __device__ float* at(int before, int numbers) const {
        return start + (long long)before * slopes * batch
               + ((long long)slope * batch + blockIdx.x) * numbers;
    }
};

__device__ constexpr int trips(int channels, int groups) { return (channels + groups - 1) / groups; }
__device__ constexpr int unrolled(int count, int loads) {
    return count * loads <= 64 ? count : (loads >= 16 ? 1 : 16 / loads);
}

// Sums over the seen channels of each group, from maps x.
template <int L> __device__ void spread(const float* weights, const float* x, float* partial) {
    using S = Shape<L>;
    constexpr int places = S::after * S::after, seen = S::side * S::side;
    constexpr int taps = S::kernel * S::kernel, groups = THREADS / S::out;
    constexpr int count = trips(S::in, groups), by = unrolled(count, taps);
    const int channel = threadIdx.x % S::out, group = threadIdx.x / S::out;
    if (group >= groups) return;
    float sums[places] = {};
#pragma unroll by
    for (int trip = 0; trip < count; trip++) {
        const int c = group + trip * groups;
        if (S::in % groups && c >= S::in) break;
        float value[seen], weight[taps];
#pragma unroll
        for (int tap = 0; tap < taps; tap++)
            weight[tap] = weights[S::weights + (c * taps + tap) * S::out + channel];
#pragma unroll
        for (int i = 0; i < seen; i++) value[i] = x[c * seen + i];
#pragma unroll
        for (int ky = 0; ky < S::kernel; ky++)
#pragma unroll
            for (int kx = 0; kx < S::kernel; kx++)
#pragma unroll
                for (int oy = 0; oy < S::after; oy++)
#pragma unroll
                    for (int ox = 0; ox < S::after; ox++) {
                        const int iy = oy * S::stride + ky - S::pad;
                        const int ix = ox * S::stride + kx - S::pad;
                        if (iy >= 0 && iy < S::side && ix >= 0 && ix < S::side)
                            sums[oy * S::after + ox] +=
                                weight[ky * S::kernel + kx] * value[iy * S::side + ix];
                    }
    }
#pragma unroll
    for (int i = 0; i < places; i++)
        partial[(group * places + i) * (S::out + 1) + channel] = sums[i];
}

// The same backward: from what comes back to the outputs to the inputs.
template <int L> __device__ void spread_back(const float* weights, const float* x, float* partial) {
    using S = Shape<L>;
    constexpr int places = S::side * S::side, seen = S::after * S::after;
    constexpr int taps = S::kernel * S::kernel, groups = THREADS / S::in;
    constexpr int count = trips(S::out, groups), by = unrolled(count, taps);
    const int channel = threadIdx.x % S::in, group = threadIdx.x / S::in;
    if (group >= groups) return;
    const float* backward = weights + S::weights + S::in * taps * S::out;
    float sums[places] = {};
#pragma unroll by
    for (int trip = 0; trip < count; trip++) {
        const int c = group + trip * groups;
        if (S::out % groups && c >= S::out) break;
        float value[seen], weight[taps];
#pragma unroll
        for (int tap = 0; tap < taps; tap++)
            weight[tap] = backward[(c * taps + tap) * S::in + channel];
#pragma unroll
        for (int i = 0; i < seen; i++) value[i] = x[c * seen + i];
#pragma unroll
        for (int ky = 0; ky < S::kernel; ky++)
#pragma unroll
            for (int kx = 0; kx < S::kernel; kx++)
#pragma unroll
                for (int oy = 0; oy < S::after; oy++)
#pragma unroll
                    for (int ox = 0; ox < S::after; ox++) {
                        const int iy = oy * S::stride + ky - S::pad;
                        const int ix = ox * S::stride + kx - S::pad;
                        if (iy >= 0 && iy < S::side && ix >= 0 && ix < S::side)
                            sums[iy * S::side + ix] +=
                                weight[ky * S::kernel + kx] * value[oy * S::after + ox];
                    }
    }
#pragma unroll
    for (int i = 0; i < places; i++)
        partial[(group * places + i) * (S::in + 1) + channel] = sums[i];
}

// The sum of all groups at number j of a map of so many channels and places.
template <int CHANNELS, int PLACES> __device__ float gathered(const float* partial, int j) {
    constexpr int groups = THREADS / CHANNELS;
    const int channel = j / PLACES, place = j % PLACES;
    float sum = 0;
#pragma unroll 16
    for (int group = 0; group < groups; group++)
        sum += partial[(group * PLACES + place) * (CHANNELS + 1) + channel];
    return sum;
}

template <int L> __device__ float summed(const float* partial, int j) {
    return gathered<Shape<L>::out, Shape<L>::after * Shape<L>::after>(partial, j);
}

template <int L> __device__ float summed_back(const float* partial, int j) {
    return gathered<Shape<L>::in, Shape<L>::side * Shape<L>::side>(partial, j);
}

#define EACH(j, n) for (int j = threadIdx.x; j < (n); j += THREADS)

// What one evaluation of E'(x) leaves.
struct Slope {
    Kept inputs, before, back, pulls;
};

// From x, which is overwritten, up to the outputs of layer L and all above, and down again.
template <int L>
__device__ void evaluate(const float* weights, const Slope& left, float* x, float* slopes,
                         float* partial) {
    constexpr int places = Shape<L>::after * Shape<L>::after;
    constexpr int bias = Shape<L>::weights
                         + 2 * Shape<L>::in * Shape<L>::kernel * Shape<L>::kernel * Shape<L>::out;
    spread<L>(weights, x, partial);
    __syncthreads();
    EACH(j, Numbers<L>::out) {
        const float u = weights[bias + j / places] + summed<L>(partial, j);
        const float s = slope(u);
        left.before.at(Before<L>::out, Numbers<L>::out)[j] = u;
        slopes[Before<L>::out + j] = s;
        if constexpr (L < TOP) {
            const float v = value(u);
            left.inputs.at(Before<L + 1>::in, Numbers<L>::out)[j] = v;
            x[j] = v;
        } else {
            const float g = weights[LAST + j];
            left.back.at(Before<L>::out, Numbers<L>::out)[j] = g;
            left.pulls.at(Before<L>::out, Numbers<L>::out)[j] = g * s;
            x[j] = g * s;
        }
    }
    __syncthreads();
    if constexpr (L < TOP) evaluate<L + 1>(weights, left, x, slopes, partial);
    spread_back<L>(weights, x, partial);
    __syncthreads();
    if constexpr (L > 0) {
        EACH(j, Numbers<L>::in) {
            const float g = summed_back<L>(partial, j);
            const float pull = g * slopes[Before<L - 1>::out + j];
            left.back.at(Before<L - 1>::out, Numbers<L>::in)[j] = g;
            left.pulls.at(Before<L - 1>::out, Numbers<L>::in)[j] = pull;
            x[j] = pull;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    rollout(int steps, int batch, int dt_stride, const float* dts, const float* q0,
            const float* p0, const float* potential, const float* kinetic, float* qs, float* ps,
            int slopes_v, float* inputs_v, float* before_v, float* back_v, float* pulls_v,
            int slopes_t, float* inputs_t, float* before_t, float* back_t, float* pulls_t) {
    extern __shared__ float shared[];
    float *q = shared, *p = q + N, *of_v = p + N, *of_t = of_v + N;
    float *x = of_t + N, *slopes = x + WIDEST, *partial = slopes + HIDDEN;
    const float dt = dts[dt_stride * blockIdx.x];
    EACH(j, N) {
        q[j] = q0[(long long)blockIdx.x * N + j];
        p[j] = p0[(long long)blockIdx.x * N + j];
    }
    bool fresh_v = false, fresh_t = false;
    int made_v = 0, made_t = 0;
    for (int step = 0; step < steps; step++) {
        for (int operation = 0; operation < OPERATIONS; operation++) {
            const bool drift = WAY[operation];
            if (!(drift ? fresh_t : fresh_v)) {
                const float* weights = drift ? kinetic : potential;
                const float* state = drift ? p : q;
                const int count = drift ? slopes_t : slopes_v, number = drift ? made_t : made_v;
                const Slope left = {
                    {drift ? inputs_t : inputs_v, count, batch, number},
                    {drift ? before_t : before_v, count, batch, number},
                    {drift ? back_t : back_v, count, batch, number},
                    {drift ? pulls_t : pulls_v, count, batch, number},
                };
                EACH(j, N) {
                    x[j] = state[j];
                    left.inputs.at(0, N)[j] = state[j];
                }
                __syncthreads();
                evaluate<0>(weights, left, x, slopes, partial);
                EACH(j, N) {
                    float g = summed_back<0>(partial, j);
                    if (STIFF) g += weights[STIFFNESS + j] * state[j];
                    (drift ? of_t : of_v)[j] = g;
                }
                __syncthreads();
                (drift ? made_t : made_v)++;
                (drift ? fresh_t : fresh_v) = true;
            }
            if (!TOGETHER) {
                const float length = SHARE[operation] * dt;
                EACH(j, N) {
                    if (drift) q[j] += length * of_t[j];
                    else p[j] -= length * of_v[j];
                }
                (drift ? fresh_v : fresh_t) = false;
            }
        }
        if (TOGETHER) {
            for (int operation = 0; operation < OPERATIONS; operation++) {
                const float length = SHARE[operation] * dt;
                EACH(j, N) {
                    if (WAY[operation]) q[j] += length * of_t[j];
                    else p[j] -= length * of_v[j];
                }
            }
            fresh_v = fresh_t = false;
        }
        EACH(j, N) {
            qs[((long long)blockIdx.x * steps + step) * N + j] = q[j];
            ps[((long long)blockIdx.x * steps + step) * N + j] = p[j];
        }
    }
}

// What one product E''(x) γ leaves.
struct Product {
    Kept directions, along;
};

// s = a'(u) and a''(u) times what came back, of all layers from L on.
template <int L>
__device__ void recall(const Kept& before, const Kept& back, float* slopes, float* bends) {
    EACH(j, Numbers<L>::out) {
        const float u = before.at(Before<L>::out, Numbers<L>::out)[j];
        const float g = back.at(Before<L>::out, Numbers<L>::out)[j];
        slopes[Before<L>::out + j] = slope(u);
        bends[Before<L>::out + j] = curvature(u) * g;
    }
    if constexpr (L < TOP) recall<L + 1>(before, back, slopes, bends);
}

// From ẋ, which is overwritten, up and down again along it.
template <int L>
__device__ void follow(const float* weights, const Product& left, float* x, const float* slopes,
                       const float* bends, float* rates, float* partial) {
    spread<L>(weights, x, partial);
    __syncthreads();
    EACH(j, Numbers<L>::out) {
        const float rate = summed<L>(partial, j);
        const float d = slopes[Before<L>::out + j] * rate;
        rates[Before<L>::out + j] = rate;
        left.directions.at(Before<L + 1>::in, Numbers<L>::out)[j] = d;
        if constexpr (L < TOP) {
            x[j] = d;
        } else {
            const float pull = bends[Before<L>::out + j] * rate;
            left.along.at(Before<L>::out, Numbers<L>::out)[j] = pull;
            x[j] = pull;
        }
    }
    __syncthreads();
    if constexpr (L < TOP) follow<L + 1>(weights, left, x, slopes, bends, rates, partial);
    spread_back<L>(weights, x, partial);
    __syncthreads();
    if constexpr (L > 0) {
        EACH(j, Numbers<L>::in) {
            const int at = Before<L - 1>::out + j;
            const float pull = bends[at] * rates[at] + summed_back<L>(partial, j) * slopes[at];
            left.along.at(Before<L - 1>::out, Numbers<L>::in)[j] = pull;
            x[j] = pull;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    products(int steps, int batch, int dt_stride, const float* dts, const float* of_q,
             const float* of_p, const float* potential, const float* kinetic, float* of_q0,
             float* of_p0, int slopes_v, float* before_v, float* back_v, float* directions_v,
             float* along_v, int slopes_t, float* before_t, float* back_t, float* directions_t,
             float* along_t) {
    extern __shared__ float shared[];
    float *at_q = shared, *at_p = at_q + N, *behind_q = at_p + N, *behind_p = behind_q + N;
    float *gamma = behind_p + N, *x = gamma + N;
    float *slopes = x + WIDEST, *bends = slopes + HIDDEN, *rates = bends + HIDDEN;
    float* partial = rates + HIDDEN;
    const float dt = dts[dt_stride * blockIdx.x];
    EACH(j, N) at_q[j] = at_p[j] = gamma[j] = 0;
    int left_v = slopes_v, left_t = slopes_t;
    for (int step = steps - 1; step >= 0; step--) {
        EACH(j, N) {
            at_q[j] += of_q[((long long)blockIdx.x * steps + step) * N + j];
            at_p[j] += of_p[((long long)blockIdx.x * steps + step) * N + j];
            behind_q[j] = at_q[j];
            behind_p[j] = at_p[j];
        }
        for (int operation = OPERATIONS - 1; operation >= 0; operation--) {
            const bool drift = WAY[operation];
            const float length = SHARE[operation] * dt;
            EACH(j, N) {
                const float of_move = drift ? (TOGETHER ? behind_q : at_q)[j]
                                            : -(TOGETHER ? behind_p : at_p)[j];
                gamma[j] += length * of_move;
            }
            if (!NEW[(step > 0) * OPERATIONS + operation]) continue;
            const float* weights = drift ? kinetic : potential;
            const int count = drift ? slopes_t : slopes_v, number = drift ? --left_t : --left_v;
            const Product left = {
                {drift ? directions_t : directions_v, count, batch, number},
                {drift ? along_t : along_v, count, batch, number},
            };
            recall<0>({drift ? before_t : before_v, count, batch, number},
                      {drift ? back_t : back_v, count, batch, number}, slopes, bends);
            EACH(j, N) {
                x[j] = gamma[j];
                left.directions.at(0, N)[j] = gamma[j];
            }
            __syncthreads();
            follow<0>(weights, left, x, slopes, bends, rates, partial);
            EACH(j, N) {
                float grown = summed_back<0>(partial, j);
                if (STIFF) grown += weights[STIFFNESS + j] * gamma[j];
                if (drift) at_p[j] += grown;
                else at_q[j] += grown;
                gamma[j] = 0;
            }
            __syncthreads();
        }
    }
    EACH(j, N) {
        of_q0[(long long)blockIdx.x * N + j] = at_q[j];
        of_p0[(long long)blockIdx.x * N + j] = at_p[j];
    }
}
