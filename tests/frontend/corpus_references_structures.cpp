// Graphs, proteins, points, images and recurrences.
#include <algorithm>
#include <cmath>

#include "ops/reference.h"
#include "tests/frontend/corpus_references.h"

namespace fovea::test {
namespace {

using ir::Array;
using ir::Arrays;
using ir::Sizes;
using ops::at;
using ops::softmax_of;
using ops::zeros;
using Index = std::int64_t;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(-std::abs(x))) + std::max(x, 0.0); }

Arrays principal_aggregation(const Arrays& in, const Sizes&) {
  const Array &x = in.at("x"), &degree = in.at("degree"), &w = in.at("w");
  const Index nodes = x.shape[0], width = x.shape[1];
  Array o = zeros({nodes, w.shape[0]});
  for (Index i = 0; i < nodes; ++i) {
    const double count = at(degree, {i});
    const double scales[] = {1, std::log(count + 1) / 1.5,
                             count > 0 ? 1.5 / std::log(count + 1) : 0};
    for (Index m = 0; m < width; ++m) {
      double sum = 0, squares = 0, most = count > 0 ? -1e300 : 0, least = count > 0 ? 1e300 : 0;
      for (Index n = 0; n < static_cast<Index>(count); ++n) {
        const double y = at(x, {static_cast<Index>(at(in.at("neighbour"), {i, n})), m});
        sum += y;
        squares += y * y;
        most = std::max(most, y);
        least = std::min(least, y);
      }
      const double mean = sum / std::max(count, 1.0);
      const double variance = std::max(squares / std::max(count, 1.0) - mean * mean, 0.0);
      const double all[] = {mean, most, least, std::sqrt(variance + 1e-5)};
      for (Index f = 0; f < w.shape[0]; ++f)
        for (Index a = 0; a < 4; ++a)
          for (Index s = 0; s < 3; ++s) at(o, {i, f}) += at(w, {f, a, s, m}) * all[a] * scales[s];
    }
  }
  return {{"o", o}};
}

// Pair (i, j) looks at the pairs (k, j), biased by (k, i).
Arrays triangle_attention_ending(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &key = in.at("key"), &v = in.at("v");
  const Index heads = q.shape[0], n = q.shape[1], width = q.shape[3];
  Array o = zeros({n, n, heads, width});
  for (Index h = 0; h < heads; ++h) {
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) {
        std::vector<double> s;
        for (Index k = 0; k < n; ++k) {
          double sum = 0;
          for (Index d = 0; d < width; ++d) sum += at(q, {h, i, j, d}) * at(key, {h, k, j, d});
          s.push_back(sum / std::sqrt(width) + at(in.at("bias"), {h, k, i}));
        }
        const std::vector<double> p = softmax_of(s);
        for (Index d = 0; d < width; ++d) {
          double sum = 0;
          for (Index k = 0; k < n; ++k) sum += p[static_cast<std::size_t>(k)] * at(v, {h, k, j, d});
          at(o, {i, j, h, d}) = sigmoid(at(in.at("gate"), {h, i, j, d})) * sum;
        }
      }
    }
  }
  return {{"o", o}};
}

Arrays ball_query(const Arrays& in, const Sizes&) {
  const Array &centre = in.at("centre"), &place = in.at("place"), &feature = in.at("feature");
  const Array &wx = in.at("wx"), &wm = in.at("wm");
  Array o = zeros({centre.shape[0], wx.shape[0]});
  for (Index c = 0; c < centre.shape[0]; ++c) {
    Index found = 0;
    for (Index i = 0; i < place.shape[0] && found < 4; ++i) {
      double far = 0;
      for (Index x = 0; x < 3; ++x) far += std::pow(at(centre, {c, x}) - at(place, {i, x}), 2);
      if (far >= 2) continue;
      for (Index f = 0; f < wx.shape[0]; ++f) {
        double y = 0;
        for (Index x = 0; x < 3; ++x)
          y += at(wx, {f, x}) * (at(place, {i, x}) - at(centre, {c, x}));
        for (Index m = 0; m < feature.shape[1]; ++m) y += at(wm, {f, m}) * at(feature, {i, m});
        y = std::max(y, 0.0);
        at(o, {c, f}) = found == 0 ? y : std::max(at(o, {c, f}), y);
      }
      ++found;
    }
  }
  return {{"o", o}};
}

// Bilinear, zero outside, as grid_sample without aligned corners.
double sampled(const Array& image, double y, double x, Index h, Index e) {
  double sum = 0;
  for (Index v = 0; v < image.shape[0]; ++v) {
    for (Index u = 0; u < image.shape[1]; ++u) {
      const double near_y = 1 - std::abs(y - static_cast<double>(v));
      const double near_x = 1 - std::abs(x - static_cast<double>(u));
      if (near_y > 0 && near_x > 0) sum += near_y * near_x * at(image, {v, u, h, e});
    }
  }
  return sum;
}

Arrays deformable(const Arrays& in, const Sizes&) {
  const Array &v = in.at("v"), &weight = in.at("weight");
  const Index heads = weight.shape[0], rows = weight.shape[1];
  Array o = zeros({rows, heads, v.shape[3]});
  for (Index h = 0; h < heads; ++h) {
    for (Index i = 0; i < rows; ++i) {
      const double middle = sigmoid(at(in.at("place"), {i}));
      std::vector<double> scores;
      for (Index n = 0; n < 4; ++n) scores.push_back(at(weight, {h, i, n}));
      const std::vector<double> p = softmax_of(scores);
      for (Index n = 0; n < 4; ++n) {
        const double y =
            middle * static_cast<double>(v.shape[0]) + at(in.at("offset_y"), {h, i, n});
        const double x =
            middle * static_cast<double>(v.shape[1]) + at(in.at("offset_x"), {h, i, n});
        for (Index e = 0; e < v.shape[3]; ++e)
          at(o, {i, h, e}) += p[static_cast<std::size_t>(n)] * sampled(v, y - 0.5, x - 0.5, h, e);
      }
    }
  }
  return {{"o", o}};
}

// Pixels see those of their window of the shifted image, less 100 where the shift has brought
// together what is not adjacent.
Arrays swin(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v");
  const Index batch = q.shape[0], heads = q.shape[1], height = q.shape[2], width = q.shape[3];
  const Index down = height / 4, across = width / 4;
  Array o = zeros({batch, heads, down, across, 16, v.shape[4]});
  const auto region = [](Index y, Index extent) {
    return y < extent - 4 ? 0 : y < extent - 2 ? 1 : 2;
  };
  for (Index b = 0; b < batch; ++b) {
    for (Index h = 0; h < heads; ++h) {
      for (Index y = 0; y < height; ++y) {
        for (Index x = 0; x < width; ++x) {
          const Index y0 = y / 4 * 4, x0 = x / 4 * 4;
          std::vector<double> s;
          for (Index z = y0; z < y0 + 4; ++z) {
            for (Index w = x0; w < x0 + 4; ++w) {
              double sum = 0;
              for (Index d = 0; d < q.shape[4]; ++d)
                sum += at(q, {b, h, (y + 2) % height, (x + 2) % width, d}) *
                       at(k, {b, h, (z + 2) % height, (w + 2) % width, d});
              const bool apart =
                  region(y, height) != region(z, height) || region(x, width) != region(w, width);
              s.push_back(sum / std::sqrt(q.shape[4]) +
                          at(in.at("table"), {h, (y - z + 3) * 7 + x - w + 3}) - (apart ? 100 : 0));
            }
          }
          const std::vector<double> p = softmax_of(s);
          for (Index n = 0; n < 16; ++n)
            for (Index e = 0; e < v.shape[4]; ++e)
              at(o, {b, h, y / 4, x / 4, (y - y0) * 4 + x - x0, e}) +=
                  p[static_cast<std::size_t>(n)] *
                  at(v, {b, h, (y0 + n / 4 + 2) % height, (x0 + n % 4 + 2) % width, e});
        }
      }
    }
  }
  return {{"o", o}};
}

// Token by token: the state forgets what it held at the key, then learns the value.
Arrays delta_rule(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v");
  const Index width = k.shape[3], features = v.shape[3];
  Array o = zeros({q.shape[0], q.shape[1], q.shape[2], features});
  for (Index b = 0; b < q.shape[0]; ++b) {
    for (Index h = 0; h < q.shape[1]; ++h) {
      Array state = zeros({width, features});
      for (Index i = 0; i < q.shape[2]; ++i) {
        double norm = 1e-6;
        for (Index d = 0; d < width; ++d) norm += std::pow(at(k, {b, h, i, d}), 2);
        const auto unit = [&](Index d) { return at(k, {b, h, i, d}) / std::sqrt(norm); };
        const double beta = sigmoid(at(in.at("beta"), {b, h, i}));
        for (Index e = 0; e < features; ++e) {
          double held = 0;
          for (Index d = 0; d < width; ++d) held += unit(d) * at(state, {d, e});
          for (Index d = 0; d < width; ++d)
            at(state, {d, e}) += beta * unit(d) * (at(v, {b, h, i, e}) - held);
          for (Index d = 0; d < width; ++d)
            at(o, {b, h, i, e}) += at(q, {b, h, i, d}) * at(state, {d, e});
        }
      }
    }
  }
  return {{"o", o}};
}

// The recurrence: the state decays, then takes the input in, then is read.
Arrays mamba2(const Arrays& in, const Sizes&) {
  const Array &x = in.at("x"), &step = in.at("step"), &b_ = in.at("bb"), &c_ = in.at("cc");
  Array o = zeros(x.shape);
  for (Index b = 0; b < x.shape[0]; ++b) {
    for (Index h = 0; h < x.shape[1]; ++h) {
      Array state = zeros({b_.shape[3], x.shape[3]});
      for (Index i = 0; i < x.shape[2]; ++i) {
        const double dt = softplus(at(step, {b, h, i}));
        const double decay = std::exp(-std::exp(at(in.at("a"), {h})) * dt);
        for (Index e = 0; e < x.shape[3]; ++e) {
          at(o, {b, h, i, e}) = at(in.at("skip"), {h}) * at(x, {b, h, i, e});
          for (Index n = 0; n < b_.shape[3]; ++n) {
            double& s = at(state, {n, e});
            s = decay * s + at(b_, {b, h / 2, i, n}) * dt * at(x, {b, h, i, e});
            at(o, {b, h, i, e}) += at(c_, {b, h / 2, i, n}) * s;
          }
        }
      }
    }
  }
  return {{"o", o}};
}

// The recurrence of numerator and denominator.
Arrays wkv(const Arrays& in, const Sizes&) {
  const Array &r = in.at("r"), &k = in.at("k"), &v = in.at("v");
  Array o = zeros(r.shape);
  for (Index b = 0; b < r.shape[0]; ++b) {
    for (Index c = 0; c < r.shape[2]; ++c) {
      const double decay = std::exp(-std::exp(at(in.at("decay"), {c})));
      double above = 0, below = 0;
      for (Index i = 0; i < r.shape[1]; ++i) {
        const double now = std::exp(at(k, {b, i, c}));
        const double first = std::exp(at(in.at("bonus"), {c})) * now;
        at(o, {b, i, c}) =
            sigmoid(at(r, {b, i, c})) * (above + first * at(v, {b, i, c})) / (below + first);
        above = decay * above + now * at(v, {b, i, c});
        below = decay * below + now;
      }
    }
  }
  return {{"o", o}};
}

// Shortest paths of at most four edges, one edge more at a time.
Arrays floyd(const Arrays& in, const Sizes&) {
  const Array& weight = in.at("weight");
  const Index n = weight.shape[0];
  const auto edge = [&](Index i, Index j) { return i == j ? 0 : std::abs(at(weight, {i, j})); };
  Array far = weight;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) at(far, {i, j}) = edge(i, j);
  for (int step = 0; step < 3; ++step) {
    const Array before = far;
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j)
        for (Index k = 0; k < n; ++k)
          at(far, {i, j}) = std::min(at(far, {i, j}), at(before, {i, k}) + edge(k, j));
  }
  return {{"far", far}};
}

}  // namespace

std::vector<CorpusReference> references_of_structures() {
  return {{"networks/principal_aggregation", principal_aggregation},
          {"proteins/triangle_attention_ending", triangle_attention_ending},
          {"points/ball_query", ball_query},
          {"vision/deformable", deformable},
          {"vision/swin", swin},
          {"recurrent/delta_rule", delta_rule},
          {"recurrent/mamba2", mamba2},
          {"recurrent/wkv", wkv},
          {"letters/floyd", floyd}};
}

}  // namespace fovea::test
