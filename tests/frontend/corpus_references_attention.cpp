// Masks, positions, caches, normalisers, retrieval and a gradient.
#include <algorithm>
#include <cmath>
#include <numeric>

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

// The elements of the last axis of x, at the coordinates of the others.
std::vector<double> row(const Array& x, std::initializer_list<Index> coordinates) {
  std::size_t first = 0, axis = 0;
  for (const Index c : coordinates)
    first = first * static_cast<std::size_t>(x.shape[axis++]) + static_cast<std::size_t>(c);
  const auto width = static_cast<std::ptrdiff_t>(x.shape.back());
  const auto begin = x.data.begin() + static_cast<std::ptrdiff_t>(first) * width;
  return {begin, begin + width};
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// What sorts before what else: the larger first, of equal ones the earlier.
std::vector<Index> best_first(const std::vector<double>& scores) {
  std::vector<Index> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](Index a, Index b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

// Σ_n weights[n] values(n) as a vector of that width.
std::vector<double> mixture(const std::vector<double>& weights, Index width, auto&& values) {
  std::vector<double> sum(static_cast<std::size_t>(width));
  for (std::size_t n = 0; n < weights.size(); ++n) {
    const std::vector<double> value = values(static_cast<Index>(n));
    for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += weights[n] * value[e];
  }
  return sum;
}

void put(Array& x, std::initializer_list<Index> coordinates, const std::vector<double>& values) {
  std::size_t first = 0, axis = 0;
  for (const Index c : coordinates)
    first = first * static_cast<std::size_t>(x.shape[axis++]) + static_cast<std::size_t>(c);
  std::ranges::copy(values, x.data.begin() + static_cast<std::ptrdiff_t>(first * values.size()));
}

Arrays mixture_of_block_attention(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v");
  const Index rows = q.shape[1];
  Array o = zeros({q.shape[0], rows, v.shape[2]});
  for (Index h = 0; h < q.shape[0]; ++h) {
    for (Index i = 0; i < rows; ++i) {
      std::vector<double> likes;  // of the blocks before the query's own
      for (Index c = 0; c < i / 16; ++c) {
        std::vector<double> middle(static_cast<std::size_t>(k.shape[2]));
        for (Index j = c * 16; j < c * 16 + 16; ++j)
          for (std::size_t d = 0; d < middle.size(); ++d)
            middle[d] += at(k, {h, j, static_cast<Index>(d)}) / 16;
        likes.push_back(dot(row(q, {h, i}), middle));
      }
      std::vector<Index> blocks = best_first(likes);
      if (blocks.size() > 2) blocks.resize(2);
      blocks.push_back(i / 16);
      std::vector<double> scores;
      std::vector<Index> keys;
      for (Index j = 0; j <= i; ++j) {
        if (std::ranges::find(blocks, j / 16) == blocks.end()) continue;
        keys.push_back(j);
        scores.push_back(dot(row(q, {h, i}), row(k, {h, j})) / 4);
      }
      put(o, {h, i}, mixture(softmax_of(scores), v.shape[2], [&](Index n) {
            return row(v, {h, keys[static_cast<std::size_t>(n)]});
          }));
    }
  }
  return {{"o", o}};
}

// Positions are counted from the query backwards, one gate after the other.
Arrays contextual_positions(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v"), &place = in.at("position");
  Array o = zeros({q.shape[0], q.shape[1], v.shape[2]});
  for (Index h = 0; h < q.shape[0]; ++h) {
    for (Index i = 0; i < q.shape[1]; ++i) {
      std::vector<double> scores(static_cast<std::size_t>(i + 1));
      double position = 0;
      for (Index j = i; j >= 0; --j) {
        const double s = dot(row(q, {h, i}), row(k, {h, j})) / std::sqrt(8);
        position += 1 / (1 + std::exp(-s));
        const double whole = std::min<double>(position, 11);
        const auto low = static_cast<Index>(std::floor(whole));
        const Index high = std::min<Index>(low + 1, 11);
        const double part = whole - static_cast<double>(low);
        scores[static_cast<std::size_t>(j)] = s +
                                              (1 - part) * dot(row(q, {h, i}), row(place, {low})) +
                                              part * dot(row(q, {h, i}), row(place, {high}));
      }
      put(o, {h, i}, mixture(softmax_of(scores), v.shape[2], [&](Index j) {
            return row(v, {h, j});
          }));
    }
  }
  return {{"o", o}};
}

Arrays paged_cache(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &keys = in.at("kp"), &values = in.at("vp");
  Array o = zeros({q.shape[0], q.shape[1], q.shape[2], values.shape[3]});
  for (Index b = 0; b < q.shape[0]; ++b) {
    const Index held = std::min(static_cast<Index>(at(in.at("length"), {b})), 8 * keys.shape[0]);
    const auto length = static_cast<Index>(at(in.at("length"), {b}));
    const auto page = [&](Index j) { return static_cast<Index>(at(in.at("table"), {b, j / 8})); };
    for (Index h = 0; h < q.shape[1]; ++h) {
      for (Index i = 0; i < q.shape[2]; ++i) {
        std::vector<double> scores;
        for (Index j = 0; j < held && j <= length - q.shape[2] + i; ++j)
          scores.push_back(dot(row(q, {b, h, i}), row(keys, {page(j), j % 8, h / 2})) / 4);
        put(o, {b, h, i}, mixture(softmax_of(scores), values.shape[3], [&](Index j) {
              return row(values, {page(j), j % 8, h / 2});
            }));
      }
    }
  }
  return {{"o", o}};
}

// A stick of length 1 is broken key by key, from the nearest backwards.
Arrays stick_breaking(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v");
  Array o = zeros({q.shape[0], q.shape[1], v.shape[2]}), rest = zeros({q.shape[0], q.shape[1]});
  for (Index h = 0; h < q.shape[0]; ++h) {
    for (Index i = 0; i < q.shape[1]; ++i) {
      double left = 1;
      for (Index j = i - 1; j >= 0; --j) {
        const double share = 1 / (1 + std::exp(-dot(row(q, {h, i}), row(k, {h, j})) / 4));
        for (Index e = 0; e < v.shape[2]; ++e) at(o, {h, i, e}) += left * share * at(v, {h, j, e});
        left *= 1 - share;
      }
      at(rest, {h, i}) = left;
    }
  }
  return {{"o", o}, {"rest", rest}};
}

// The threshold at which what is above it sums to 1, by halving.
Arrays sparsemax(const Arrays& in, const Sizes&) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v");
  Array o = zeros({q.shape[0], v.shape[1]});
  for (Index i = 0; i < q.shape[0]; ++i) {
    std::vector<double> s;
    for (Index j = 0; j < k.shape[0]; ++j) s.push_back(dot(row(q, {i}), row(k, {j})) / 4);
    double low = *std::ranges::max_element(s) - 1, high = low + 1;
    for (int step = 0; step < 100; ++step) {
      const double middle = (low + high) / 2;
      double above = 0;
      for (const double x : s) above += std::max(x - middle, 0.0);
      (above > 1 ? low : high) = middle;
    }
    for (double& x : s) x = std::max(x - low, 0.0);
    put(o, {i}, mixture(s, v.shape[1], [&](Index j) { return row(v, {j}); }));
  }
  return {{"o", o}};
}

// Every pair of halves is looked at, though the program only looks at the best of each.
Arrays product_keys(const Arrays& in, const Sizes&) {
  const Array &q1 = in.at("q1"), &q2 = in.at("q2"), &value = in.at("value");
  Array o = zeros({q1.shape[1], value.shape[1]});
  for (Index h = 0; h < q1.shape[0]; ++h) {
    for (Index i = 0; i < q1.shape[1]; ++i) {
      std::vector<double> all;
      for (Index slot = 0; slot < 100; ++slot)
        all.push_back(dot(row(q1, {h, i}), row(in.at("key1"), {h, slot / 10})) +
                      dot(row(q2, {h, i}), row(in.at("key2"), {h, slot % 10})));
      const std::vector<Index> order = best_first(all);
      std::vector<double> scores;
      for (std::size_t n = 0; n < 3; ++n) scores.push_back(all[static_cast<std::size_t>(order[n])]);
      const std::vector<double> read = mixture(softmax_of(scores), value.shape[1], [&](Index n) {
        return row(value, {order[static_cast<std::size_t>(n)]});
      });
      for (std::size_t e = 0; e < read.size(); ++e) at(o, {i, static_cast<Index>(e)}) += read[e];
    }
  }
  return {{"o", o}};
}

Arrays nearest_neighbour_lm(const Arrays& in, const Sizes&) {
  const Array &x = in.at("x"), &key = in.at("key"), &word = in.at("word");
  const Array& logit = in.at("logit");
  Array o = logit;
  for (Index i = 0; i < x.shape[0]; ++i) {
    std::vector<double> near;
    for (Index j = 0; j < key.shape[0]; ++j) {
      double far = 0;
      for (Index d = 0; d < x.shape[1]; ++d) far += std::pow(at(x, {i, d}) - at(key, {j, d}), 2);
      near.push_back(-far);
    }
    const std::vector<Index> order = best_first(near);
    std::vector<double> scores;
    for (std::size_t n = 0; n < 4; ++n)
      scores.push_back(near[static_cast<std::size_t>(order[n])] / 10);
    const std::vector<double> p = softmax_of(scores), own = softmax_of(row(logit, {i}));
    for (Index v = 0; v < logit.shape[1]; ++v) {
      double vote = 0;
      for (std::size_t n = 0; n < 4; ++n)
        if (static_cast<Index>(at(word, {order[n]})) == v) vote += p[n];
      at(o, {i, v}) = std::log(0.25 * vote + 0.75 * own[static_cast<std::size_t>(v)]);
    }
  }
  return {{"o", o}};
}

// Σ go o, for differences.
double loss_of_groups(const Arrays& in) {
  const Array &q = in.at("q"), &k = in.at("k"), &v = in.at("v"), &go = in.at("go");
  double loss = 0;
  for (Index g = 0; g < q.shape[0]; ++g) {
    for (Index r = 0; r < q.shape[1]; ++r) {
      for (Index i = 0; i < q.shape[2]; ++i) {
        std::vector<double> scores;
        const Index first = std::max<Index>(i - 19, 0);
        for (Index j = first; j <= i; ++j)
          scores.push_back(5 * std::tanh(dot(row(q, {g, r, i}), row(k, {g, j})) / 10));
        const std::vector<double> o = mixture(softmax_of(scores), v.shape[2], [&](Index n) {
          return row(v, {g, first + n});
        });
        loss += dot(o, row(go, {g, r, i}));
      }
    }
  }
  return loss;
}

// Gradients are what the loss changes by.
Arrays backward_of_groups(const Arrays& in, const Sizes&) {
  Arrays gradients;
  for (const std::string name : {"q", "k", "v"}) {
    Array gradient = in.at(name);
    for (std::size_t n = 0; n < gradient.data.size(); ++n) {
      Arrays more = in, less = in;
      more.at(name).data[n] += 1e-4;
      less.at(name).data[n] -= 1e-4;
      gradient.data[n] = (loss_of_groups(more) - loss_of_groups(less)) / 2e-4;
    }
    gradients.emplace("d" + name, std::move(gradient));
  }
  return gradients;
}

}  // namespace

std::vector<CorpusReference> references_of_attention() {
  return {{"masks/moba_with_heads", mixture_of_block_attention},
          {"positions/cope", contextual_positions},
          {"caches/paged", paged_cache},
          {"normalisers/stick_breaking", stick_breaking},
          {"normalisers/sparsemax", sparsemax},
          {"retrieval/product_keys", product_keys},
          {"retrieval/nearest_neighbour_lm", nearest_neighbour_lm},
          {"training/backward_of_groups", backward_of_groups, 1e-6}};
}

}  // namespace fovea::test
