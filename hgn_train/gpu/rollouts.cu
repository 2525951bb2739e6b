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
// shapes.py puts in front of this file: THREADS, DEPTH (hidden layers), N (numbers in q),
// WIDEST (numbers in the largest map), OPERATIONS (kicks and drifts of a step), WAY, SHARE and NEW
// of each of these, TOGETHER (whether all slopes of a step are of the state before it), STIFF
// (whether there is a quadratic part), the activation as value(u), slope(u) and curvature(u), and
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

// Arrays with an entry (half, slope, trajectory, number) for each layer, one layer behind the other.
struct Kept {
    float* start;
    int slopes, batch, slope, trajectory;

    // where the numbers of this trajectory are, behind layers that have so many before
    __device__ float* at(int half, int before, int numbers) const {
        return start + 2LL * before * slopes * batch
               + ((long long)(half * slopes + slope) * batch + trajectory) * numbers;
    }

    // where nothing is to be kept, there is no array
    __device__ void keep(int half, int before, int numbers, int j, float number) const {
        if (start) at(half, before, numbers)[j] = number;
    }
};

// The arrays and their halves: what enters an activation and what comes back to it; what comes back
// to its input and the same along a direction; directions and what they start from.
enum { ENTERS = 0, RETURNS = 1, PULLS = 0, ALONG = 1, DIRECTIONS = 0, INPUTS = 1 };

struct Arrays {
    Kept maps, pulls, seen;
};

// What the kernels are told of one energy: its weights, how many slopes there are and how many of
// them are made forward in time, and where the arrays are.
struct Energy {
    const float* weights;
    int slopes, ahead;
    float *maps, *pulls, *seen;

    __device__ Arrays arrays(int batch, int slope, int trajectory) const {
        return {{maps, slopes, batch, slope, trajectory},
                {pulls, slopes, batch, slope, trajectory},
                {seen, slopes, batch, slope, trajectory}};
    }
};

// One of two, without an address of either being taken.
__device__ inline Energy chosen(bool second, const Energy& a, const Energy& b) {
    return {second ? b.weights : a.weights, second ? b.slopes : a.slopes,
            second ? b.ahead : a.ahead,     second ? b.maps : a.maps,
            second ? b.pulls : a.pulls,     second ? b.seen : a.seen};
}

// One direction of a layer: from its inputs to its outputs, or from what comes back to its outputs
// to its inputs.
template <int L, bool BACK> struct Way {
    using S = Shape<L>;
    static constexpr int lanes = BACK ? S::in : S::out;  // channels that it makes
    static constexpr int dealt = BACK ? S::out : S::in;  // channels that it sees
    static constexpr int places = BACK ? S::side * S::side : S::after * S::after;
    static constexpr int seen = BACK ? S::after * S::after : S::side * S::side;
    static constexpr int taps = S::kernel * S::kernel;
    static constexpr int groups = THREADS / lanes;
    static constexpr int trips = (dealt + groups - 1) / groups;
    static constexpr int start = S::weights + (BACK ? S::in * taps * S::out : 0);
    static constexpr int loads = trips * taps;
    static constexpr bool early = loads <= 32;  // all weights of a thread fit its registers
    static constexpr int by = loads <= 64 ? trips : (taps >= 16 ? 1 : 16 / taps);
};

// The weights that a thread needs next, asked for before it waits for the others.
template <int L, bool BACK> struct Fetched {
    using W = Way<L, BACK>;
    float of[W::early ? W::loads : 1];

    __device__ explicit Fetched(const float* weights) {
        const int channel = threadIdx.x % W::lanes, group = threadIdx.x / W::lanes;
        if constexpr (W::early) {
#pragma unroll
            for (int trip = 0; trip < W::trips; trip++) {
                const int c = group + trip * W::groups;
#pragma unroll
                for (int tap = 0; tap < W::taps; tap++)
                    of[trip * W::taps + tap] =
                        group < W::groups && c < W::dealt
                            ? weights[W::start + (c * W::taps + tap) * W::lanes + channel]
                            : 0;
            }
        }
    }
};

// Sums over the channels that are dealt to each group, from maps x.
template <int L, bool BACK>
__device__ void spread(const Fetched<L, BACK>& fetched, const float* weights, const float* x,
                       float* partial) {
    using W = Way<L, BACK>;
    using S = Shape<L>;
    const int channel = threadIdx.x % W::lanes, group = threadIdx.x / W::lanes;
    if (group >= W::groups) return;
    float sums[W::places] = {};
#pragma unroll W::by
    for (int trip = 0; trip < W::trips; trip++) {
        const int c = group + trip * W::groups;
        if (W::dealt % W::groups && c >= W::dealt) break;
        float value[W::seen], weight[W::taps];
#pragma unroll
        for (int tap = 0; tap < W::taps; tap++)
            if constexpr (W::early)
                weight[tap] = fetched.of[trip * W::taps + tap];
            else
                weight[tap] = weights[W::start + (c * W::taps + tap) * W::lanes + channel];
#pragma unroll
        for (int i = 0; i < W::seen; i++) value[i] = x[c * W::seen + i];
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
                        if (iy < 0 || iy >= S::side || ix < 0 || ix >= S::side) continue;
                        const int in = iy * S::side + ix, out = oy * S::after + ox;
                        sums[BACK ? in : out] +=
                            weight[ky * S::kernel + kx] * value[BACK ? out : in];
                    }
    }
#pragma unroll
    for (int i = 0; i < W::places; i++)
        partial[(group * W::places + i) * (W::lanes + 1) + channel] = sums[i];
}

// The sum of all groups at number j of the maps that are made.
template <int L, bool BACK> __device__ float summed(const float* partial, int j) {
    using W = Way<L, BACK>;
    const int channel = j / W::places, place = j % W::places;
    float sum = 0;
#pragma unroll 16
    for (int group = 0; group < W::groups; group++)
        sum += partial[(group * W::places + place) * (W::lanes + 1) + channel];
    return sum;
}

#define EACH(j, n) for (int j = threadIdx.x; j < (n); j += THREADS)

// Up through layer L and all above, and down again, from x, which is overwritten. `work` says what
// becomes of the sums behind a layer on the way up, and in front of it on the way down; what it
// leaves in x is what the next layer sees. Returned are the weights that the layer below needs on
// the way down; below layer 0 the sums are left as they are.
template <int L, class Work>
__device__ auto down(const Fetched<L, true>& fetched, const Work& work) {
    spread(fetched, work.weights, work.x, work.partial);
    if constexpr (L > 0) {
        const Fetched<L - 1, true> next(work.weights);
        __syncthreads();
        EACH(j, Numbers<L>::in)
            work.x[j] = work.template in_front<L - 1>(j, summed<L, true>(work.partial, j));
        __syncthreads();
        return next;
    } else {
        __syncthreads();
    }
}

template <int L, class Work>
__device__ auto up_and_down(const Fetched<L, false>& fetched, const Work& work) {
    constexpr int next = L < TOP ? L + 1 : TOP;
    spread(fetched, work.weights, work.x, work.partial);
    const Fetched<next, L == TOP> then(work.weights);
    __syncthreads();
    EACH(j, Numbers<L>::out)
        work.x[j] = work.template behind<L>(j, summed<L, false>(work.partial, j));
    __syncthreads();
    if constexpr (L < TOP)
        return down<L>(up_and_down<L + 1>(then, work), work);
    else
        return down<L>(then, work);
}

// The slope E'(x): a' of what enters each activation is kept for the way down.
struct Evaluation {
    const float* weights;
    const Arrays& left;
    float *x, *slopes, *partial;

    template <int L> __device__ float behind(int j, float sum) const {
        using S = Shape<L>;
        constexpr int before = Before<L>::out, numbers = Numbers<L>::out;
        constexpr int bias = S::weights + 2 * S::in * S::kernel * S::kernel * S::out;
        const float u = weights[bias + j / (S::after * S::after)] + sum;
        const float s = slope(u);
        left.maps.keep(ENTERS, before, numbers, j, u);
        slopes[before + j] = s;
        if constexpr (L < TOP) {
            const float v = value(u);
            left.seen.keep(INPUTS, Before<L + 1>::in, numbers, j, v);
            return v;
        } else {
            return in_front<L>(j, weights[LAST + j]);
        }
    }

    // of layer L's output, from what comes back to it
    template <int L> __device__ float in_front(int j, float back) const {
        constexpr int before = Before<L>::out, numbers = Numbers<L>::out;
        const float pull = back * slopes[before + j];
        left.maps.keep(RETURNS, before, numbers, j, back);
        left.pulls.keep(PULLS, before, numbers, j, pull);
        return pull;
    }
};

// States at all times from those at the time of the anchor: the first blocks go forward from it, a
// trajectory each, and as many others backward, with steps of -dt.
extern "C" __global__ void __launch_bounds__(THREADS)
    rollout(int batch, int forward, int backward, int dt_stride, const float* dts,
            const float* q0, const float* p0, float* qs, float* ps,
            const float* weights_v, int slopes_v, int ahead_v, float* maps_v, float* pulls_v,
            float* seen_v, const float* weights_t, int slopes_t, int ahead_t, float* maps_t,
            float* pulls_t, float* seen_t) {
    extern __shared__ float shared[];
    float *q = shared, *p = q + N, *of_v = p + N, *of_t = of_v + N;
    float *x = of_t + N, *slopes = x + WIDEST, *partial = slopes + HIDDEN;
    const Energy potential = {weights_v, slopes_v, ahead_v, maps_v, pulls_v, seen_v};
    const Energy kinetic = {weights_t, slopes_t, ahead_t, maps_t, pulls_t, seen_t};
    const bool back = blockIdx.x >= batch;
    const int trajectory = blockIdx.x - (back ? batch : 0), steps = back ? backward : forward;
    const long long anchor = (long long)trajectory * (forward + 1 + backward) + backward;
    const float dt = (back ? -1 : 1) * dts[dt_stride * trajectory];
    EACH(j, N) {
        q[j] = q0[(long long)trajectory * N + j];
        p[j] = p0[(long long)trajectory * N + j];
        if (!back) {
            qs[anchor * N + j] = q[j];
            ps[anchor * N + j] = p[j];
        }
    }
    bool fresh_v = false, fresh_t = false;
    int next_v = back ? ahead_v : 0, next_t = back ? ahead_t : 0;
    for (int step = 0; step < steps; step++) {
        for (int operation = 0; operation < OPERATIONS; operation++) {
            const bool drift = WAY[operation];
            if (!(drift ? fresh_t : fresh_v)) {
                const Energy energy = chosen(drift, potential, kinetic);
                const float* state = drift ? p : q;
                const int number = drift ? next_t++ : next_v++;
                const Arrays left = energy.arrays(batch, number, trajectory);
                const Fetched<0, false> first(energy.weights);
                EACH(j, N) {
                    x[j] = state[j];
                    left.seen.keep(INPUTS, 0, N, j, state[j]);
                }
                __syncthreads();
                up_and_down(first, Evaluation{energy.weights, left, x, slopes, partial});
                EACH(j, N) {
                    float g = summed<0, true>(partial, j);
                    if (STIFF) g += energy.weights[STIFFNESS + j] * state[j];
                    (drift ? of_t : of_v)[j] = g;
                }
                __syncthreads();
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
        const long long time = anchor + (back ? -1 - step : 1 + step);
        EACH(j, N) {
            qs[time * N + j] = q[j];
            ps[time * N + j] = p[j];
        }
    }
}

// s = a'(u) and a''(u) times what came back, of all layers from L on.
template <int L>
__device__ void recall(const Kept& maps, float* slopes, float* bends) {
    EACH(j, Numbers<L>::out) {
        const float u = maps.at(ENTERS, Before<L>::out, Numbers<L>::out)[j];
        const float g = maps.at(RETURNS, Before<L>::out, Numbers<L>::out)[j];
        slopes[Before<L>::out + j] = slope(u);
        bends[Before<L>::out + j] = curvature(u) * g;
    }
    if constexpr (L < TOP) recall<L + 1>(maps, slopes, bends);
}

// The product E''(x) γ, from ẋ: s = a'(u), and bends, a''(u) times what came back, are those of x.
struct Following {
    const float* weights;
    const Arrays& left;
    float* x;
    const float *slopes, *bends;
    float *rates, *partial;

    template <int L> __device__ float behind(int j, float rate) const {
        constexpr int before = Before<L>::out, numbers = Numbers<L>::out;
        const float d = slopes[before + j] * rate;
        rates[before + j] = rate;
        left.seen.keep(DIRECTIONS, Before<L + 1>::in, numbers, j, d);
        if constexpr (L < TOP)
            return d;
        else
            return in_front<L>(j, 0);
    }

    template <int L> __device__ float in_front(int j, float back) const {
        constexpr int before = Before<L>::out;
        const float pull = bends[before + j] * rates[before + j] + back * slopes[before + j];
        left.pulls.keep(ALONG, before, Numbers<L>::out, j, pull);
        return pull;
    }
};

// From gradients with respect to the states at all times to those of the first state, one from the
// blocks that went forward and one from those that went backward, and what weights' are made of.
extern "C" __global__ void __launch_bounds__(THREADS)
    products(int batch, int forward, int backward, int dt_stride, const float* dts,
             const float* of_q, const float* of_p, float* of_q0, float* of_p0,
             const float* weights_v, int slopes_v, int ahead_v, float* maps_v, float* pulls_v,
             float* seen_v, const float* weights_t, int slopes_t, int ahead_t, float* maps_t,
             float* pulls_t, float* seen_t) {
    extern __shared__ float shared[];
    float *at_q = shared, *at_p = at_q + N, *behind_q = at_p + N, *behind_p = behind_q + N;
    float *gamma = behind_p + N, *x = gamma + N;
    float *slopes = x + WIDEST, *bends = slopes + HIDDEN, *rates = bends + HIDDEN;
    float* partial = rates + HIDDEN;
    const Energy potential = {weights_v, slopes_v, ahead_v, maps_v, pulls_v, seen_v};
    const Energy kinetic = {weights_t, slopes_t, ahead_t, maps_t, pulls_t, seen_t};
    const bool back = blockIdx.x >= batch;
    const int trajectory = blockIdx.x - (back ? batch : 0), steps = back ? backward : forward;
    const long long anchor = (long long)trajectory * (forward + 1 + backward) + backward;
    const float dt = (back ? -1 : 1) * dts[dt_stride * trajectory];
    EACH(j, N) at_q[j] = at_p[j] = gamma[j] = 0;
    int left_v = back ? slopes_v : ahead_v, left_t = back ? slopes_t : ahead_t;
    for (int step = steps - 1; step >= 0; step--) {
        const long long time = anchor + (back ? -1 - step : 1 + step);
        EACH(j, N) {
            at_q[j] += of_q[time * N + j];
            at_p[j] += of_p[time * N + j];
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
            const Energy energy = chosen(drift, potential, kinetic);
            const int number = drift ? --left_t : --left_v;
            const Arrays left = energy.arrays(batch, number, trajectory);
            const Fetched<0, false> first(energy.weights);
            recall<0>(left.maps, slopes, bends);
            EACH(j, N) {
                x[j] = gamma[j];
                left.seen.keep(DIRECTIONS, 0, N, j, gamma[j]);
            }
            __syncthreads();
            const Following work = {energy.weights, left, x, slopes, bends, rates, partial};
            up_and_down(first, work);
            EACH(j, N) {
                float grown = summed<0, true>(partial, j);
                if (STIFF) grown += energy.weights[STIFFNESS + j] * gamma[j];
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
